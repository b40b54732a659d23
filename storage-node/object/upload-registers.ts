import { type Change, type Registers, type WriteGuard } from '../consensus/registers.ts';
import { StorageError } from '../errors.ts';
import { type Env } from '../ports.ts';
import { type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';
import { tombstoneChange } from './buckets.ts';
import { partNumberOf, partsPrefix, uploadIdLength, uploadKey } from './keys.ts';
import { type Bucket, type Part, type Version } from './model.ts';
import { placeOf } from './placement.ts';
import { type SetScanner } from './set-scan.ts';
import { decodePartState, encodePartState, type PartState } from './state-codec.ts';
import { decodeUpload, encodeUpload, type UploadState } from './upload-state.ts';

/** Parts whose registers are written at the same time. */
const partsAtOnce = 16;

export interface UploadRegisterDeps {
  env: Env;
  sets: readonly ErasureSet[];
  registers: Registers;
  scanner: SetScanner;
}

/** Where the registers of an upload are. */
export interface At {
  bucket: Bucket;
  set: ErasureSet;
  /** Of the upload's register. */
  key: IndexKey;
  /** Of the object's register. */
  objectKey: IndexKey;
  name: string;
  uploadId: string;
}

/** Not a client's wish, but what follows from one that was granted. */
export const housekeeping: WriteGuard = { fromClient: false, bucketGeneration: Number.MAX_SAFE_INTEGER };

/** @throws StorageError NoSuchUpload for what cannot be the id of an upload, KeyTooLong. */
export function atOf(deps: Pick<UploadRegisterDeps, 'sets'>, bucket: Bucket, name: string, uploadId: string): At {
  if (uploadId.length !== uploadIdLength || !/^[0-9a-f]+$/.test(uploadId)) throw noSuchUpload();
  const { set, key } = placeOf(deps.sets, bucket, name);
  return { bucket, set, name, uploadId, objectKey: key, key: uploadKey(bucket.id, name, uploadId) };
}

export function guardOf(bucket: Bucket): WriteGuard {
  return { fromClient: true, bucketGeneration: bucket.generation };
}

export function noSuchUpload(): StorageError {
  return new StorageError('NoSuchUpload', 'the specified upload does not exist; it may have been aborted or completed');
}

export function uploadChange(state: UploadState): Change {
  return { ...tombstoneChange, tombstone: false, state: encodeUpload(state) };
}

/** Undefined when there is no such upload, or not any more. */
export async function readUpload(deps: UploadRegisterDeps, at: At): Promise<UploadState | undefined> {
  return stateOfUpload(await deps.registers.get(at.set, at.key));
}

function stateOfUpload({ state, tombstone }: { state: Uint8Array; tombstone: boolean }): UploadState | undefined {
  return tombstone || state.length === 0 ? undefined : decodeUpload(state);
}

/** @returns the state after: the one that `decide` answered, or the one that was found and left. */
export async function changeUpload(
  deps: UploadRegisterDeps,
  target: { at: At; guard: WriteGuard },
  decide: (state: UploadState | undefined) => UploadState | 'unchanged' | 'gone',
): Promise<UploadState | undefined> {
  const { at, guard } = target;
  let after: UploadState | undefined;
  await deps.registers.change(at.set, at.key, guard, (current) => {
    const before = stateOfUpload(current);
    const wanted = decide(before);
    after = wanted === 'unchanged' ? before : wanted === 'gone' ? undefined : wanted;
    if (wanted === 'unchanged') return wanted;
    return wanted === 'gone' ? tombstoneChange : uploadChange(wanted);
  });
  return after;
}

/** The parts sent so far, by number, in order. */
export async function readParts(deps: UploadRegisterDeps, at: At): Promise<Map<number, PartState>> {
  const parts = new Map<number, PartState>();
  const prefix = partsPrefix(at.bucket.id, at.uploadId);
  for await (const row of deps.scanner.rows(at.set, { prefix })) {
    parts.set(partNumberOf(row.key), decodePartState(row.value));
  }
  return parts;
}

/** Removes the registers of an upload's parts and their data, except what the object refers to. */
export async function dropParts(
  deps: UploadRegisterDeps,
  at: At,
  kept: readonly Pick<Part, 'dataId'>[],
): Promise<void> {
  const ids = new Set(kept.map(({ dataId }) => idText(dataId)));
  const prefix = partsPrefix(at.bucket.id, at.uploadId);
  let batch: Promise<void>[] = [];
  for await (const { key } of deps.scanner.rows(at.set, { prefix })) {
    batch.push(dropPart(deps, { set: at.set, key }, ids));
    if (batch.length < partsAtOnce) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
}

/**
 * A part's register ends as a tombstone that names the data the object took over, so that a drive that hears of it
 * late does not free that data either.
 */
export async function dropPart(
  deps: UploadRegisterDeps,
  where: { set: ErasureSet; key: IndexKey },
  kept: ReadonlySet<string>,
): Promise<void> {
  await deps.registers.change(where.set, where.key, housekeeping, ({ tombstone, state }) => {
    if (tombstone || state.length === 0) return 'unchanged';
    const { part, older } = decodePartState(state);
    const taken = [part, ...older].find(({ dataId }) => kept.has(idText(dataId)));
    if (taken === undefined) return tombstoneChange;
    return { ...tombstoneChange, state: encodePartState({ part: taken, lastModifiedMs: 0, older: [] }) };
  });
}

export function idText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}

/**
 * Writes down that an upload was completed, after its version was seen in the object's register: the parts go, then the
 * upload counts as completed. To be done before that version is removed or overwritten, or somebody who completes the
 * upload once more would not find it and make it again of data that is gone.
 */
export async function settleCompleted(deps: UploadRegisterDeps, at: At, version: Version): Promise<void> {
  const state = await readUpload(deps, at);
  if (state?.kind !== 'committing' && state?.kind !== 'refusing') return;
  await dropParts(deps, at, version.parts);
  const { etag, versionId, sizeBytes, lastModifiedMs, checksum } = version;
  const result = { etag, versionId, sizeBytes, lastModifiedMs, checksum };
  const atMs = deps.env.clock.wallMs();
  await changeUpload(deps, { at, guard: housekeeping }, (now) =>
    now?.kind === 'committing' || now?.kind === 'refusing'
      ? { kind: 'completed', info: now.info, plan: now.plan, result, atMs }
      : 'unchanged',
  );
}
