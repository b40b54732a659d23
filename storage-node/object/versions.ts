import { StorageError } from '../errors.ts';
import { type Clock, type RandomBytes } from '../ports.ts';
import { type Bucket, type KeyState, type ObjectInfo, type Version } from './model.ts';

/** The id of what was written while versioning was off or suspended. */
export const nullVersionId = 'null';

/** As many versions as one key may have. */
export const maxVersionsPerKey = 10_000;

/** Version ids sort by time, newest last, and cannot be guessed. */
export function newVersionId(clock: Pick<Clock, 'wallMs'>, randomBytes: RandomBytes): string {
  return clock.wallMs().toString(16).padStart(12, '0') + Buffer.from(randomBytes(10)).toString('hex');
}

/** The version a client sees without naming one; undefined when there is none or a delete marker hides it. */
export function currentVersion(state: KeyState): Version | undefined {
  const newest = state.versions[0];
  return newest === undefined || newest.deleteMarker ? undefined : newest;
}

/** The state after `added` was written: before the others, in the place of the null version where it is one. */
export function withVersion(state: KeyState, added: Version): KeyState {
  const others =
    added.versionId === nullVersionId
      ? state.versions.filter(({ versionId }) => versionId !== nullVersionId)
      : state.versions;
  if (others.length >= maxVersionsPerKey) {
    throw new StorageError('TooManyVersions', `the key has ${others.length} versions; remove some first`);
  }
  return { versions: [added, ...others] };
}

export function withoutVersion(state: KeyState, versionId: string): KeyState {
  return { versions: state.versions.filter((version) => version.versionId !== versionId) };
}

/** What the bucket shows of a version id: nothing where versioning was never on. */
export function shownVersionId(bucket: Pick<Bucket, 'versioning'>, versionId: string): string | undefined {
  return bucket.versioning === 'Off' ? undefined : versionId;
}

/**
 * Finds the version a read asks for.
 * @throws StorageError NoSuchKey, NoSuchVersion, MethodNotAllowedOnDeleteMarker; details say what a delete marker hides.
 */
export function findVersion(state: KeyState, versionId: string | undefined): Version {
  const found =
    versionId === undefined ? state.versions[0] : state.versions.find((version) => version.versionId === versionId);
  if (found === undefined) {
    throw versionId === undefined
      ? new StorageError('NoSuchKey', 'the specified key does not exist')
      : new StorageError('NoSuchVersion', 'the specified version does not exist');
  }
  if (!found.deleteMarker) return found;
  const details = {
    deleteMarker: 'true',
    versionId: found.versionId,
    lastModifiedMs: String(found.lastModifiedMs),
  };
  throw versionId === undefined
    ? new StorageError('NoSuchKey', 'the specified key does not exist', { details })
    : new StorageError('MethodNotAllowedOnDeleteMarker', 'the specified version is a delete marker', { details });
}

export function objectInfo(bucket: Bucket, key: string, version: Version, isLatest: boolean): ObjectInfo {
  return { ...version, key, shownVersionId: shownVersionId(bucket, version.versionId), isLatest };
}
