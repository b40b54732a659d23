import { resolve } from 'node:path';
import type { Repository } from '../../activities/backup/repository/attach.ts';
import { findSnapshot, listSnapshots, matches, type Snapshot } from '../../activities/backup/repository/snapshot.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { parseTagLists } from './parse.ts';

/** Options that choose snapshots. */
export interface ChoiceOptions {
  host?: readonly string[];
  path?: readonly string[];
  tag?: readonly string[];
}

/** Which snapshots are meant, as restic means it: any of the hosts, any of the lists of tags, all of the paths. */
export function chosen(options: ChoiceOptions): (snapshot: Snapshot) => boolean {
  const { host: hosts = [], path: paths = [], tag: tags = [] } = options;
  const wanted = paths.map((path) => resolve(path));
  const lists = parseTagLists(tags);
  return (snapshot) =>
    (hosts.length === 0 || hosts.includes(snapshot.hostname ?? '')) &&
    (lists.length === 0 || lists.some((list) => hasTags(snapshot, list))) &&
    matches(snapshot, { paths: wanted });
}

/** No tag at all (`--tag ''`) means the snapshots without tags. */
function hasTags(snapshot: Snapshot, list: readonly string[]): boolean {
  return list.length === 0 ? (snapshot.tags ?? []).length === 0 : matches(snapshot, { tags: list });
}

/** The snapshot a person means: `latest` of those that the options choose, an id or its beginning. */
export async function oneSnapshot(repository: Repository, wanted: string, options: ChoiceOptions): Promise<Snapshot> {
  if (wanted !== 'latest') return findSnapshot(repository, wanted);
  const { snapshots } = await listSnapshots(repository);
  const latest = snapshots.findLast(chosen(options));
  if (latest !== undefined) return latest;
  const like = snapshots.length === 0 ? 'no snapshot' : 'no snapshot of that host, path and tag';
  throw new MusterError('SNAPSHOT_UNKNOWN', `there is ${like} in the repository ${repository.store.place}`);
}

/** Those that were named, or all that the options choose; oldest first. */
export async function manySnapshots(
  repository: Repository,
  wanted: readonly string[],
  options: ChoiceOptions,
): Promise<{ snapshots: Snapshot[]; damaged: readonly MusterError[] }> {
  if (wanted.length > 0) {
    const named = await Promise.all(wanted.map((one) => oneSnapshot(repository, one, options)));
    return { snapshots: [...new Map(named.map((one) => [one.id, one])).values()], damaged: [] };
  }
  const { snapshots, damaged } = await listSnapshots(repository);
  return { snapshots: snapshots.filter(chosen(options)), damaged };
}

export const shortId = ({ id }: { id: string }): string => id.slice(0, 8);
