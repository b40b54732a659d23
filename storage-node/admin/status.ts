import { type Healer } from '../heal/healer.ts';
import { type SiteFence } from '../site-fence.ts';
import { type DriveStat } from '../store/drive-api.ts';
import { type DriveHandle, type ErasureSet, readQuorum, writeQuorum } from '../store/set.ts';
import { type Topology } from '../topology/topology.ts';

export interface DriveStatus {
  name: string;
  node: string;
  answers: boolean;
  stat: DriveStat | undefined;
}

/** What a set can do now, and how many more of its drives may go. */
export interface SetStatus {
  set: number;
  size: number;
  answering: number;
  readable: boolean;
  writable: boolean;
  /** More drives that may be lost and reads still work; the same for writes. Negative: so many are missing. */
  mayLoseForReads: number;
  mayLoseForWrites: number;
  drives: DriveStatus[];
}

export interface ClusterStatus {
  node: string;
  sets: SetStatus[];
  site: { epoch: number; fenced: boolean; leased: boolean; confirmed: boolean };
  /** The lease of the node that answers. */
  lease: { epoch: number; remainingMs: number };
  heal: ReturnType<Healer['status']>;
  healTotals: ReturnType<Healer['totals']>;
}

/** How long a drive may take to say how it is, milliseconds. */
const askMs = 1_000;

export async function setStatus(set: ErasureSet, topology: Topology, without?: number): Promise<SetStatus> {
  const drives = await Promise.all(set.drives.map((drive) => driveStatus(drive, topology)));
  const answering = set.drives.filter((drive, i) => drives[i]!.answers && drive.nodeIndex !== without).length;
  const writers = set.drives.filter(
    (drive, i) => drives[i]!.stat?.state === 'ok' && drive.nodeIndex !== without,
  ).length;
  const size = set.drives.length;
  return {
    set: set.index,
    size,
    answering,
    readable: answering >= readQuorum(size),
    writable: writers >= writeQuorum(size),
    mayLoseForReads: answering - readQuorum(size),
    mayLoseForWrites: writers - writeQuorum(size),
    drives,
  };
}

async function driveStatus(drive: DriveHandle, topology: Topology): Promise<DriveStatus> {
  const node = topology.nodes[drive.nodeIndex]!.id;
  const stat = await Promise.race([
    drive.api.stat({ deadlineMs: askMs }).catch(() => undefined),
    new Promise<undefined>((resolve) => setTimeout(resolve, askMs + 100, undefined).unref()),
  ]);
  return { name: drive.name, node, answers: stat !== undefined && stat.state !== 'stopped', stat };
}

export async function clusterStatus(parts: {
  topology: Topology;
  self: string;
  sets: readonly ErasureSet[];
  fence: SiteFence;
  healer: Healer;
}): Promise<ClusterStatus> {
  const [sets, site] = await Promise.all([
    Promise.all(parts.sets.map((set) => setStatus(set, parts.topology))),
    parts.fence.read(),
  ]);
  const { epoch, fenced, leased, confirmedSets } = site;
  return {
    node: parts.self,
    sets,
    site: { epoch, fenced, leased, confirmed: confirmedSets === site.sets },
    lease: parts.fence.held(),
    heal: parts.healer.status(),
    healTotals: parts.healer.totals(),
  };
}
