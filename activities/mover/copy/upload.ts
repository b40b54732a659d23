import { compareChecksums } from '../../objects/checksum/values.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { type ObjectInfo, type UploadedPart, type UploadRef } from '../../objects/types.ts';
import { type DonePart, type UploadState } from '../ledger/ledger.ts';
import { fullKey } from '../side.ts';
import { type Delivery, withoutRefused } from './delivery.ts';
import { callOf } from './landing.ts';
import { type PartPlan } from './part-plan.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { fromTarget } from './side-errors.ts';

/** A multipart upload under way, with what has arrived. */
export interface OpenUpload {
  ref: UploadRef;
  /** By part number. */
  done: Map<number, DonePart>;
  /** Parts the target has that nobody here remembers: to be compared with the source before they count. */
  found: Map<number, UploadedPart>;
}

/** Goes on from an upload that the ledger remembers, or begins one and remembers it before its first part. */
export async function openUpload(
  setup: CopySetup,
  task: CopyTask,
  { plan, info, delivery }: { plan: PartPlan; info: ObjectInfo; delivery: Delivery },
): Promise<OpenUpload> {
  const resumed = await resume(setup, task, { plan, info });
  if (resumed !== undefined) return resumed;
  const { target, ledger } = setup;
  const state: UploadState = {
    ...{ key: task.key, version: task.versionId ?? '', uploadId: '', begunAtMs: Date.now() },
    ...{ sourceEtag: info.etag, sizeBytes: info.sizeBytes, partSizeBytes: plan.partSizeBytes },
  };
  await ledger?.saveUpload(state);
  const ref = await withoutRefused(setup, delivery, () =>
    fromTarget(target.client.createUpload(fullKey(target, task.key), { ...delivery.carried }, callOf(setup))),
  );
  await ledger?.saveUpload({ ...state, uploadId: ref.uploadId });
  return { ref, done: new Map(), found: new Map() };
}

async function resume(
  setup: CopySetup,
  task: CopyTask,
  { plan, info }: { plan: PartPlan; info: ObjectInfo },
): Promise<OpenUpload | undefined> {
  const known = await setup.ledger?.upload(idOf(task));
  if (known === undefined) return undefined;
  const { state } = known;
  const ref = { key: fullKey(setup.target, task.key), uploadId: state.uploadId };
  const fits =
    state.sourceEtag === info.etag &&
    state.sizeBytes === info.sizeBytes &&
    state.partSizeBytes === plan.partSizeBytes &&
    state.uploadId !== '';
  const listed = fits ? await partsOf(setup, ref) : undefined;
  if (listed === undefined) {
    await giveUp(setup, state);
    return undefined;
  }
  const done = new Map<number, DonePart>();
  for (const part of known.parts) {
    const there = listed.get(part.partNumber);
    if (there?.etag === part.etag && there.sizeBytes === part.sizeBytes) done.set(part.partNumber, part);
  }
  const found = new Map([...listed].filter(([partNumber]) => !done.has(partNumber)));
  return { ref, done, found };
}

/** Undefined when the store knows no such upload (any more). */
async function partsOf(setup: CopySetup, ref: UploadRef): Promise<Map<number, UploadedPart> | undefined> {
  const parts = new Map<number, UploadedPart>();
  let afterPart: number | undefined;
  try {
    for (;;) {
      const page = afterPart === undefined ? {} : { afterPart };
      const listed = await setup.target.client.listParts(ref, page, callOf(setup));
      for (const part of listed.parts) parts.set(part.partNumber, part);
      if (listed.next === undefined) return parts;
      afterPart = listed.next;
    }
  } catch (err) {
    if (isNoUpload(err)) return undefined;
    throw err;
  }
}

function isNoUpload(err: unknown): boolean {
  if (!(err instanceof MusterError)) return false;
  return err.code === 'OBJECT_UNKNOWN' || (err as { serverCode?: unknown }).serverCode === 'NoSuchUpload';
}

/** Whether a part nobody remembers is the source's, by what the target says of it. */
export function isThatPart(part: UploadedPart, own: DonePart['own'], sizeBytes: number): boolean {
  if (part.sizeBytes !== sizeBytes) return false;
  const said = compareChecksums({ md5: part.etag.toLowerCase(), ...part.checksums }, own);
  return said.kind === 'same';
}

/** Ends an upload at the target and forgets it. */
export async function giveUp(setup: CopySetup, state: UploadState): Promise<void> {
  const key = fullKey(setup.target, state.key);
  const uploadIds = state.uploadId === '' ? await orphansOf(setup, key, state.begunAtMs) : [state.uploadId];
  for (const uploadId of uploadIds) await setup.target.client.abortUpload({ key, uploadId });
  await setup.ledger?.dropUpload(idOf({ key: state.key, versionId: state.version }));
}

/** Between asking for an upload and hearing of it; clocks may differ by so much, milliseconds. */
const orphanWindowMs = 180_000;

/** Uploads of this key that were begun when ours was asked for: it ended before it heard of it. */
async function orphansOf(setup: CopySetup, key: string, begunAtMs: number): Promise<string[]> {
  const { uploads } = await setup.target.client.listUploads({ prefix: key }, callOf(setup));
  return uploads
    .filter((upload) => upload.key === key && Math.abs(upload.initiatedAtMs - begunAtMs) < orphanWindowMs)
    .map(({ uploadId }) => uploadId);
}

export function idOf({ key, versionId }: { key: string; versionId?: string }): { key: string; version: string } {
  return { key, version: versionId ?? '' };
}
