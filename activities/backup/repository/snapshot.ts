import { z } from 'zod';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { parseTime } from './go-time.ts';
import type { Sealer } from './sealing.ts';
import { damaged, type RepositoryStore } from './store.ts';
import { loadUnpacked, saveUnpacked } from './unpacked.ts';

/** A snapshot as its file has it, in restic's names. What Muster does not know of is kept when it is written again. */
export interface SnapshotFile {
  /** RFC 3339 to nanoseconds. */
  readonly time: string;
  readonly parent?: string | undefined;
  /** Id of the root tree. */
  readonly tree: string;
  readonly paths: readonly string[];
  readonly hostname?: string | undefined;
  readonly username?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly excludes?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
  /** The snapshot that this one was copied or changed from. */
  readonly original?: string | undefined;
  readonly program_version?: string | undefined;
  readonly summary?: unknown;
  /** Muster's own; restic passes over it. */
  readonly muster?: unknown;
}

export interface Snapshot extends SnapshotFile {
  /** The file name. */
  readonly id: string;
}

interface Access {
  readonly store: RepositoryStore;
  readonly sealer: Sealer;
}

const id = z.string().regex(/^[0-9a-f]{64}$/);
const orNone = <Type>(type: z.ZodType<Type>): z.ZodType<Type | undefined> =>
  type.nullish().transform((value) => value ?? undefined);
const strings = z.array(z.string());
const schema = z.looseObject({
  time: z.string().refine((time) => parseTime(time) !== null),
  parent: orNone(id),
  tree: id,
  paths: strings.nullable().transform((paths) => paths ?? []),
  hostname: orNone(z.string()),
  username: orNone(z.string()),
  uid: orNone(z.number()),
  gid: orNone(z.number()),
  excludes: orNone(strings),
  tags: orNone(strings),
  original: orNone(id),
  program_version: orNone(z.string()),
});

/** @returns the snapshot with its id, durable */
export async function saveSnapshot(access: Access, snapshot: SnapshotFile): Promise<Snapshot> {
  return { ...snapshot, id: await saveUnpacked(access, 'snapshot', snapshot) };
}

/** @throws MusterError REPOSITORY_DAMAGED naming the file */
export async function loadSnapshot(access: Access, id: string): Promise<Snapshot> {
  const parsed = schema.safeParse(await loadUnpacked(access, 'snapshot', id));
  if (!parsed.success) throw damaged(access.store, 'snapshot', id, 'lacks what a snapshot has to have');
  return { ...parsed.data, id };
}

export interface ListedSnapshots {
  /** Oldest first. */
  readonly snapshots: readonly Snapshot[];
  /** One error for each file that could not be read. */
  readonly damaged: readonly MusterError[];
}

export async function listSnapshots(access: Access): Promise<ListedSnapshots> {
  const snapshots: Snapshot[] = [];
  const failures: MusterError[] = [];
  for await (const { name } of access.store.list('snapshot')) {
    try {
      snapshots.push(await loadSnapshot(access, name));
    } catch (err) {
      if (!(err instanceof MusterError) || err.code !== 'REPOSITORY_DAMAGED') throw err;
      // Forgotten since it was listed is not damaged.
      if ((await access.store.sizeOf('snapshot', name)) !== null) failures.push(err);
    }
  }
  return { snapshots: snapshots.toSorted(byTime), damaged: failures };
}

/** Oldest first; of the same time by id. */
export function byTime(a: Snapshot, b: Snapshot): number {
  const [left, right] = [nanosOf(a), nanosOf(b)];
  if (left !== right) return left < right ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

/** Nanoseconds since 1970. */
export const nanosOf = (snapshot: SnapshotFile): bigint => parseTime(snapshot.time) ?? 0n;

/** Which snapshots are meant: what is not given does not matter. */
export interface SnapshotFilter {
  readonly host?: string;
  /** All of these paths. */
  readonly paths?: readonly string[];
  /** All of these tags. */
  readonly tags?: readonly string[];
}

export function matches(snapshot: SnapshotFile, { host, paths = [], tags = [] }: SnapshotFilter): boolean {
  return (
    (host === undefined || snapshot.hostname === host) &&
    paths.every((path) => snapshot.paths.includes(path)) &&
    tags.every((tag) => snapshot.tags?.includes(tag) === true)
  );
}

/**
 * The snapshot that a person means: `latest` (of those that the filter lets through), an id or the beginning of one.
 * @throws MusterError SNAPSHOT_UNKNOWN
 */
export async function findSnapshot(access: Access, wanted: string, filter: SnapshotFilter = {}): Promise<Snapshot> {
  const { snapshots } = await listSnapshots(access);
  const found =
    wanted === 'latest'
      ? snapshots.filter((snapshot) => matches(snapshot, filter)).slice(-1)
      : snapshots.filter((snapshot) => wanted !== '' && snapshot.id.startsWith(wanted));
  if (found.length === 1) return found[0] as Snapshot;
  throw new MusterError('SNAPSHOT_UNKNOWN', `${whyNone(wanted, found.length)} in the repository ${access.store.place}`);
}

function whyNone(wanted: string, found: number): string {
  if (wanted === 'latest') return 'there is no snapshot like that';
  return `${found > 1 ? 'more than one snapshot has' : 'no snapshot has'} an id that begins with "${wanted}"`;
}
