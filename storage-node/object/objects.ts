import { type HedgeBudget } from '../consensus/hedge.ts';
import { type BallotClock } from '../consensus/ballot.ts';
import {
  type Change,
  type Changed,
  type Current,
  type Decision,
  type Registers,
  type WriteGuard,
} from '../consensus/registers.ts';
import { type Kernels } from '../erasure/types.ts';
import { StorageError } from '../errors.ts';
import { type Env } from '../ports.ts';
import { type ErasureSet } from '../store/set.ts';
import { encodeChange } from './change-codec.ts';
import { checkReadConditions, checkWriteConditions } from './conditions.ts';
import {
  type Bucket,
  type Change as LoggedChange,
  type Checksum,
  type DeleteInput,
  type DeleteResult,
  type KeyState,
  type ObjectInfo,
  type ObjectMetadata,
  type OpenObject,
  type Part,
  type PutInput,
  type PutResult,
  type ReadOptions,
  type Upload,
  type Version,
} from './model.ts';
import { openVersion } from './open.ts';
import { nameOf } from './keys.ts';
import { newDataId, type Place, placeOf } from './placement.ts';
import { decodeState, encodeState, headOfVersions } from './state-codec.ts';
import { type SetScanner } from './set-scan.ts';
import { extraWith } from './tags.ts';
import { type StoredData } from './stripe-reader.ts';
import { createDataUpload, type DataUpload, type ReceivedData } from './upload-data.ts';
import { atOf, settleCompleted } from './upload-registers.ts';
import {
  currentVersion,
  findVersion,
  newVersionId,
  nullVersionId,
  objectInfo,
  shownVersionId,
  withoutVersion,
  withVersion,
} from './versions.ts';

export interface ObjectsDeps {
  env: Env;
  kernels: Kernels;
  ballots: BallotClock;
  sets: readonly ErasureSet[];
  registers: Registers;
  scanner: SetScanner;
  /** Runs a write with the bucket's settings as known, and once more with fresh ones when the drives know better. */
  withBucket: <T>(name: string, write: (bucket: Bucket) => Promise<T>) => Promise<T>;
  bucket: (name: string) => Promise<Bucket>;
  /** Told when a read met a missing or damaged shard. */
  damaged: (data: StoredData, position: number) => void;
  hedges: HedgeBudget;
  readDeadlineMs: number;
  writeDeadlineMs: number;
}

/** A version to be, before it is known under which id it will be kept. */
export interface VersionDraft {
  metadata: ObjectMetadata;
  storageClass: string;
  etag: string;
  checksum: Checksum | undefined;
  parts: Part[];
  multipart: boolean;
  extra?: Record<string, unknown>;
}

/** Single objects: put, head, read, remove. */
export interface Objects {
  put(input: PutInput): Promise<Upload<PutResult>>;
  head(bucket: string, key: string, options: ReadOptions): Promise<ObjectInfo>;
  open(bucket: string, key: string, options: ReadOptions): Promise<OpenObject>;
  remove(input: DeleteInput): Promise<DeleteResult>;
}

export function createObjects(deps: ObjectsDeps): Objects {
  return {
    put: (input) => put(deps, input),
    async head(bucketName, key, options) {
      const bucket = await deps.bucket(bucketName);
      const { registers } = deps;
      const place = placeOf(deps.sets, bucket, key);
      const { info } = chooseVersion(bucket, key, await registers.get(place.set, place.key), options);
      return info;
    },
    async open(bucketName, key, options) {
      const bucket = await deps.bucket(bucketName);
      const place = placeOf(deps.sets, bucket, key);
      const current = await deps.registers.get(place.set, place.key, { withHead: options.versionId === undefined });
      const { info, version } = chooseVersion(bucket, key, current, options);
      return openVersion(readerDeps(deps), { ...place, info, version, heads: current.heads });
    },
    remove: (input) => remove(deps, input),
  };
}

export function readerDeps(deps: ObjectsDeps): Parameters<typeof openVersion>[0] {
  return {
    kernels: deps.kernels,
    clock: deps.env.clock,
    deadlineMs: deps.readDeadlineMs,
    damaged: deps.damaged,
    hedges: deps.hedges,
  };
}

function chooseVersion(
  bucket: Bucket,
  key: string,
  current: Current,
  options: ReadOptions,
): { info: ObjectInfo; version: Version } {
  const state = stateOf(current);
  const version = findVersion(state, options.versionId);
  checkReadConditions(version, options.conditions ?? {});
  return { version, info: objectInfo(bucket, key, version, version === state.versions[0]) };
}

/** The versions a register holds. */
export function stateOf(current: Pick<Current, 'state' | 'tombstone'>): KeyState {
  return current.tombstone || current.state.length === 0 ? { versions: [] } : decodeState(current.state);
}

/** Starts receiving the bytes of an object or a part at its place. */
export function receive(deps: ObjectsDeps, place: Pick<Place, 'set'>, expectedBytes: number | undefined): DataUpload {
  return createDataUpload(deps, {
    set: place.set,
    dataId: newDataId(deps.ballots, deps.env.randomBytes),
    expectedBytes,
  });
}

/** The one part that received data makes; none for empty data. */
export function partOf(data: ReceivedData, number: number, checksum: Checksum | undefined): Part[] {
  if (data.sizeBytes === 0) return [];
  const md5 = Buffer.from(data.md5).toString('hex');
  return [{ number, sizeBytes: data.sizeBytes, md5, checksum, dataId: data.dataId, small: data.small }];
}

async function put(deps: ObjectsDeps, input: PutInput): Promise<Upload<PutResult>> {
  const bucket = await deps.bucket(input.bucket);
  const siteEpoch = deps.registers.siteEpoch();
  const place = placeOf(deps.sets, bucket, input.key);
  const data = receive(deps, place, input.expectedBytes);
  let received: ReceivedData | undefined;
  const upload: Upload<PutResult> = {
    onDrain: undefined,
    write: (chunk) => data.write(chunk),
    async end() {
      received = await data.end();
      return { md5: received.md5, sizeBytes: received.sizeBytes };
    },
    async commit({ conditions, checksum }) {
      if (received === undefined) throw new Error('commit before end');
      const draft: VersionDraft = {
        metadata: input.metadata,
        storageClass: input.storageClass ?? 'STANDARD',
        etag: Buffer.from(received.md5).toString('hex'),
        checksum,
        parts: partOf(received, 1, undefined),
        multipart: false,
      };
      if (input.tags !== undefined) draft.extra = extraWith({}, input.tags);
      const { puts } = received;
      return commitVersion(deps, { bucket: input.bucket, key: input.key, draft, puts, conditions, siteEpoch });
    },
    abort: () => data.abort(),
  };
  data.onDrain = () => upload.onDrain?.();
  return upload;
}

export interface VersionCommit {
  bucket: string;
  key: string;
  draft: VersionDraft;
  puts: Change['puts'];
  conditions: DeleteInput['conditions'];
  /** Of the site when its bytes began to come: a fence since then holds, also after the site was opened again. */
  siteEpoch?: number;
  /** The upload that makes it: its version is made once, and only while `allowed` says so. */
  once?: { uploadId: string; allowed: () => Promise<boolean> };
}

/** Makes a new version the newest of its key, if the conditions hold against the newest of this moment. */
export async function commitVersion(deps: ObjectsDeps, commit: VersionCommit): Promise<PutResult> {
  return deps.withBucket(commit.bucket, async (bucket) => {
    const { etag, versionId, sizeBytes, lastModifiedMs } = (await makeVersion(deps, bucket, commit))!;
    return { etag, versionId: shownVersionId(bucket, versionId), sizeBytes, lastModifiedMs };
  });
}

/** @returns the version as it was made, now or by an earlier try; undefined when an upload was no longer allowed to. */
export async function makeVersion(
  deps: ObjectsDeps,
  bucket: Bucket,
  commit: VersionCommit,
): Promise<Version | undefined> {
  const place = placeOf(deps.sets, bucket, commit.key);
  const { draft, once } = commit;
  const version: Version = {
    versionId: bucket.versioning === 'Enabled' ? newVersionId(deps.env.clock, deps.env.randomBytes) : nullVersionId,
    deleteMarker: false,
    sizeBytes: draft.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    lastModifiedMs: deps.env.clock.wallMs(),
    ...draft,
    extra: once === undefined ? (draft.extra ?? {}) : { ...draft.extra, upload: once.uploadId },
  };
  let made: Version | undefined;
  const decide = (state: KeyState): KeyChange | 'unchanged' => {
    made = once === undefined ? undefined : versionOfUpload(state, once.uploadId);
    if (made !== undefined) return 'unchanged';
    checkWriteConditions(currentVersion(state), commit.conditions ?? {});
    made = version;
    return { state: withVersion(state, version), event: { kind: 'put', version } };
  };
  const { puts, siteEpoch } = commit;
  await changeKey(deps, { bucket, place, puts, siteEpoch }, (state) => {
    const change = decide(state);
    if (once === undefined || change === 'unchanged') return change;
    return once.allowed().then((allowed) => {
      if (allowed) return change;
      made = undefined;
      return 'unchanged';
    });
  });
  return made;
}

/** The version that completing an upload has made. */
export function versionOfUpload(state: KeyState, uploadId: unknown): Version | undefined {
  return state.versions.find(({ extra }) => extra['upload'] === uploadId);
}

interface KeyChange {
  state: KeyState;
  event: { kind: LoggedChange['kind']; version: Version };
}

/** Less than one message between nodes carries (rpc/frame.ts): what cannot be sent shall be refused by name. */
const maxStateBytes = 48 * 1024 * 1024;

function tooMuch(bytes: number): StorageError {
  const message = `the versions of the key take ${bytes} bytes with their metadata and tags; remove some first`;
  return new StorageError('TooManyVersions', message);
}

/** Changes the versions of a key; `decide` sees those of this moment. */
export function changeKey(
  deps: ObjectsDeps,
  target: { bucket: Bucket; place: Place; puts?: Change['puts']; siteEpoch?: number | undefined },
  decide: (state: KeyState) => KeyChange | 'unchanged' | Promise<KeyChange | 'unchanged'>,
): Promise<Changed> {
  const { bucket, place } = target;
  const guard: WriteGuard = { fromClient: true, bucketGeneration: bucket.generation };
  if (target.siteEpoch !== undefined) guard.siteEpoch = target.siteEpoch;
  const toChange = (before: KeyState, change: KeyChange | 'unchanged'): Decision | Promise<Decision> => {
    if (change === 'unchanged') return change;
    const { kind, version } = change.event;
    const { versionId, sizeBytes, etag } = version;
    const written: Change = {
      ...registerOf(change.state),
      puts: target.puts ?? (() => []),
      note: encodeChange({ kind, versionId, sizeBytes, etag, atMs: deps.env.clock.wallMs() }),
    };
    if (written.state.length > maxStateBytes && !kind.startsWith('delete')) throw tooMuch(written.state.length);
    const byUploads = before.versions.filter(({ extra }) => extra['upload'] !== undefined);
    const leaving = byUploads.filter(({ extra }) => versionOfUpload(change.state, extra['upload']) === undefined);
    return leaving.length === 0 ? written : settleAll(deps, target, leaving).then(() => written);
  };
  return deps.registers.change(place.set, place.key, guard, (current) => {
    const state = stateOf(current);
    const change = decide(state);
    return change instanceof Promise ? change.then((made) => toChange(state, made)) : toChange(state, change);
  });
}

/** What the register of a key holds with these versions. */
function registerOf(state: KeyState): Pick<Change, 'tombstone' | 'hidden' | 'state' | 'headData'> {
  const { versions } = state;
  return {
    tombstone: versions.length === 0,
    hidden: versions[0]?.deleteMarker ?? false,
    state: versions.length === 0 ? new Uint8Array(0) : encodeState(state),
    headData: headOfVersions(versions),
  };
}

/** The uploads that made these versions must be known to be completed before the versions go. */
async function settleAll(
  deps: ObjectsDeps,
  { bucket, place }: { bucket: Bucket; place: Place },
  leaving: readonly Version[],
): Promise<void> {
  for (const version of leaving) {
    const at = atOf(deps, bucket, nameOf(place.key), String(version.extra['upload']));
    await settleCompleted(deps, at, version);
  }
}

/** Deletes: without a version id a tombstone or delete marker, with one that version for good. */
function remove(deps: ObjectsDeps, input: DeleteInput): Promise<DeleteResult> {
  return deps.withBucket(input.bucket, async (bucket) => {
    const place = placeOf(deps.sets, bucket, input.key);
    if (input.versionId !== undefined) return removeVersion(deps, input, { bucket, place });
    if (bucket.versioning === 'Off') {
      await changeKey(deps, { bucket, place }, (state) => {
        const newest = currentVersion(state);
        checkWriteConditions(newest, input.conditions ?? {});
        if (newest === undefined) return 'unchanged';
        return { state: { versions: [] }, event: { kind: 'delete', version: newest } };
      });
      return { versionId: undefined, deleteMarker: false };
    }
    const marker = deleteMarker(deps, bucket);
    await changeKey(deps, { bucket, place }, (state) => {
      checkWriteConditions(currentVersion(state), input.conditions ?? {});
      return { state: withVersion(state, marker), event: { kind: 'delete-marker', version: marker } };
    });
    return { versionId: marker.versionId, deleteMarker: true };
  });
}

async function removeVersion(
  deps: ObjectsDeps,
  input: DeleteInput,
  at: { bucket: Bucket; place: Place },
): Promise<DeleteResult> {
  let wasMarker = false;
  await changeKey(deps, at, (state) => {
    const version = state.versions.find(({ versionId }) => versionId === input.versionId);
    if (version === undefined) return 'unchanged';
    checkWriteConditions(version, input.conditions ?? {});
    wasMarker = version.deleteMarker;
    return { state: withoutVersion(state, version.versionId), event: { kind: 'delete-version', version } };
  });
  return { versionId: input.versionId, deleteMarker: wasMarker };
}

function deleteMarker(deps: ObjectsDeps, bucket: Bucket): Version {
  const { clock, randomBytes } = deps.env;
  return {
    versionId: bucket.versioning === 'Enabled' ? newVersionId(clock, randomBytes) : nullVersionId,
    deleteMarker: true,
    sizeBytes: 0,
    etag: '',
    lastModifiedMs: clock.wallMs(),
    metadata: { headers: {}, user: {} },
    checksum: undefined,
    parts: [],
    multipart: false,
    storageClass: 'STANDARD',
    extra: {},
  };
}
