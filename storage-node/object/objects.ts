import { type BallotClock } from '../consensus/ballot.ts';
import { type Change, type Changed, type Current, type Registers } from '../consensus/registers.ts';
import { type Kernels } from '../erasure/types.ts';
import { type Env } from '../ports.ts';
import { type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';
import { encodeChange } from './change-codec.ts';
import { checkReadConditions, checkWriteConditions } from './conditions.ts';
import { checkObjectKey, objectKey, setIndexOf } from './keys.ts';
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
import { newDataId } from './placement.ts';
import { decodeState, encodeState, headOfVersions } from './state-codec.ts';
import { type StoredData } from './stripe-reader.ts';
import { createDataUpload, type DataUpload, type ReceivedData } from './upload-data.ts';
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

/** Where a key lives. */
export interface Place {
  set: ErasureSet;
  key: IndexKey;
}

export interface ObjectsDeps {
  env: Env;
  kernels: Kernels;
  ballots: BallotClock;
  sets: readonly ErasureSet[];
  registers: Registers;
  /** Runs a write with the bucket's settings as known, and once more with fresh ones when the drives know better. */
  withBucket: <T>(name: string, write: (bucket: Bucket) => Promise<T>) => Promise<T>;
  bucket: (name: string) => Promise<Bucket>;
  /** Told when a read met a missing or damaged shard. */
  damaged: (data: StoredData, position: number) => void;
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

export function placeOf(sets: readonly ErasureSet[], bucket: Bucket, key: string): Place {
  const indexKey = objectKey(bucket.id, key);
  return { set: sets[setIndexOf(indexKey, sets.length)]!, key: indexKey };
}

export function createObjects(deps: ObjectsDeps): Objects {
  return {
    put: (input) => put(deps, input),
    async head(bucketName, key, options) {
      const bucket = await deps.bucket(bucketName);
      const { registers } = deps;
      const place = placeOf(deps.sets, bucket, checkObjectKey(key));
      const { info } = chooseVersion(bucket, key, await registers.get(place.set, place.key), options);
      return info;
    },
    async open(bucketName, key, options) {
      const bucket = await deps.bucket(bucketName);
      const place = placeOf(deps.sets, bucket, checkObjectKey(key));
      const current = await deps.registers.get(place.set, place.key, { withHead: options.versionId === undefined });
      const { info, version } = chooseVersion(bucket, key, current, options);
      return openVersion(readerDeps(deps), { ...place, info, version, heads: current.heads });
    },
    remove: (input) => remove(deps, input),
  };
}

export function readerDeps(deps: ObjectsDeps): Parameters<typeof openVersion>[0] {
  return { kernels: deps.kernels, clock: deps.env.clock, deadlineMs: deps.readDeadlineMs, damaged: deps.damaged };
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
  const place = placeOf(deps.sets, bucket, checkObjectKey(input.key));
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
      const { puts } = received;
      return commitVersion(deps, { bucket: input.bucket, key: input.key, draft, puts, conditions });
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
  /** Given when the version must get this id however often the commit is repeated (multipart). */
  versionId?: (bucket: Bucket) => string;
  /** Name of what makes it: a version that bears it is there already, and is not made again. */
  once?: string;
}

/** Makes a new version the newest of its key, if the conditions hold against the newest of this moment. */
export function commitVersion(deps: ObjectsDeps, commit: VersionCommit): Promise<PutResult> {
  return deps.withBucket(commit.bucket, async (bucket) => {
    const place = placeOf(deps.sets, bucket, commit.key);
    const { draft } = commit;
    const enabled = bucket.versioning === 'Enabled';
    const versionId =
      commit.versionId?.(bucket) ?? (enabled ? newVersionId(deps.env.clock, deps.env.randomBytes) : nullVersionId);
    const version: Version = {
      versionId,
      deleteMarker: false,
      sizeBytes: draft.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      lastModifiedMs: deps.env.clock.wallMs(),
      extra: commit.once === undefined ? {} : { upload: commit.once },
      ...draft,
    };
    let made = version;
    await changeKey(deps, { bucket, place, puts: commit.puts }, (state) => {
      const earlier = state.versions.find(({ extra }) => commit.once !== undefined && extra['upload'] === commit.once);
      if (earlier !== undefined) {
        made = earlier;
        return 'unchanged';
      }
      checkWriteConditions(currentVersion(state), commit.conditions ?? {});
      return { state: withVersion(state, version), event: { kind: 'put', version } };
    });
    return {
      etag: made.etag,
      versionId: shownVersionId(bucket, made.versionId),
      sizeBytes: made.sizeBytes,
      lastModifiedMs: made.lastModifiedMs,
    };
  });
}

interface KeyChange {
  state: KeyState;
  event: { kind: LoggedChange['kind']; version: Version };
}

/** Changes the versions of a key; `decide` sees those of this moment. */
export function changeKey(
  deps: ObjectsDeps,
  target: { bucket: Bucket; place: Place; puts?: Change['puts'] },
  decide: (state: KeyState) => KeyChange | 'unchanged',
): Promise<Changed> {
  const { bucket, place } = target;
  const guard = { fromClient: true, bucketGeneration: bucket.generation };
  return deps.registers.change(place.set, place.key, guard, (current) => {
    const change = decide(stateOf(current));
    if (change === 'unchanged') return change;
    const { versions } = change.state;
    return {
      tombstone: versions.length === 0,
      hidden: versions[0]?.deleteMarker ?? false,
      state: versions.length === 0 ? new Uint8Array(0) : encodeState(change.state),
      headData: headOfVersions(versions),
      puts: target.puts ?? (() => []),
      note: encodeChange({
        kind: change.event.kind,
        versionId: change.event.version.versionId,
        sizeBytes: change.event.version.sizeBytes,
        etag: change.event.version.etag,
        atMs: deps.env.clock.wallMs(),
      }),
    };
  });
}

/** Deletes: without a version id a tombstone or delete marker, with one that version for good. */
function remove(deps: ObjectsDeps, input: DeleteInput): Promise<DeleteResult> {
  return deps.withBucket(input.bucket, async (bucket) => {
    const place = placeOf(deps.sets, bucket, checkObjectKey(input.key));
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
