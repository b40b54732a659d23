import { randomUUID } from 'node:crypto';
import { createBallotClock, type BallotClock } from './consensus/ballot.ts';
import { type NodeConfig } from './config.ts';
import { createKernels } from './erasure/kernels.ts';
import { type Kernels } from './erasure/types.ts';
import { createPeer, type Peer } from './rpc/peer.ts';
import { remoteDrive } from './rpc/remote-drive.ts';
import { type Security } from './rpc/identity.ts';
import { type NodeName } from './rpc/handshake.ts';
import { type DriveApi } from './store/drive-api.ts';
import { type Drive, openDrive } from './store/drive.ts';
import { checkFormat, formatVersion, readFormat, writeFormat } from './store/format.ts';
import { openLmdbIndex } from './store/lmdb-index.ts';
import { type BlockPlace, takePlace } from './store/place.ts';
import { realFileSystem } from './store/real-file-system.ts';
import { type DriveHandle, type DriveHealth, type ErasureSet } from './store/set.ts';
import { systemEnv } from './system-env.ts';
import { rpcPortOffset, type Topology } from './topology/topology.ts';

/** The drives of the whole cluster, as this node reaches them. */
export interface Cluster {
  kernels: Kernels;
  ballots: BallotClock;
  /** This node's drives by their number. */
  ownDrives: Map<number, Drive>;
  /** Drives that were empty at the start though the cluster is not: they are to be healed. */
  freshSets: Set<number>;
  peers: Map<number, Peer>;
  sets: ErasureSet[];
  close(): Promise<void>;
}

export async function openCluster(
  config: NodeConfig,
  network: { name: NodeName; security: Security },
): Promise<Cluster> {
  const { topology, self } = config;
  const kernels = createKernels();
  const ballots = createBallotClock(self.index, systemEnv.clock);
  const ownDrives = new Map<number, Drive>();
  const freshSets = new Set<number>();
  const peers = new Map<number, Peer>();
  try {
    for (const [number, directory] of self.drives.entries()) {
      const opened = await openOwn(config, kernels, { number, directory, clusterId: network.name.clusterId });
      ownDrives.set(number, opened.drive);
      // No ballot of an earlier life is issued again, even if that life had seen clocks far ahead of ours.
      ballots.observe(await opened.drive.raiseFloor(0));
      if (opened.fresh) freshSets.add(opened.set);
    }
    for (const node of topology.nodes) {
      if (node.index === self.index) continue;
      const to = { nodeId: node.id, host: node.host, port: node.port + rpcPortOffset };
      const take = (size: number): BlockPlace => takePlace(kernels.arena, size);
      peers.set(node.index, createPeer({ name: network.name, to, security: network.security, env: systemEnv, take }));
    }
  } catch (error) {
    for (const drive of ownDrives.values()) await drive.close();
    throw error;
  }
  return {
    ...{ kernels, ballots, ownDrives, freshSets, peers },
    sets: setsOf(topology, { self: self.index, ownDrives, peers }),
    async close() {
      for (const peer of peers.values()) peer.close();
      for (const drive of ownDrives.values()) await drive.close();
    },
  };
}

async function openOwn(
  config: NodeConfig,
  kernels: Kernels,
  own: { number: number; directory: string; clusterId: string },
): Promise<{ drive: Drive; fresh: boolean; set: number }> {
  const { topology, self, reserveBytes } = config;
  const { directory } = own;
  const set = topology.sets.find(({ members }) =>
    members.some(({ node, drive }) => node === self.index && drive === own.number),
  )!;
  const position = set.members.findIndex(({ node, drive }) => node === self.index && drive === own.number);
  const expected = { clusterId: own.clusterId, set: set.index, setSize: set.members.length, position };
  await realFileSystem.makeDirectory(directory);
  let format = await readFormat(realFileSystem, directory);
  const fresh = format === undefined;
  if (format === undefined) {
    format = { format: formatVersion, ...expected, driveId: randomUUID(), createdAt: new Date().toISOString() };
    await writeFormat(realFileSystem, directory, format);
  } else checkFormat(directory, format, expected);
  const drive = await openDrive({
    name: `${self.id}${directory}`,
    driveId: format.driveId,
    directory,
    env: systemEnv,
    files: realFileSystem,
    index: openLmdbIndex(directory),
    hasher: kernels,
    memory: kernels.arena,
    reserveBytes,
  });
  return { drive, fresh, set: set.index };
}

function setsOf(
  topology: Topology,
  reach: { self: number; ownDrives: ReadonlyMap<number, Drive>; peers: ReadonlyMap<number, Peer> },
): ErasureSet[] {
  return topology.sets.map(({ index, members }) => ({
    index,
    drives: members.map((member, position): DriveHandle => {
      const node = topology.nodes[member.node]!;
      const name = `${node.id}${node.drives[member.drive]}`;
      const at = { name, nodeIndex: member.node, position };
      if (member.node === reach.self) {
        const drive = reach.ownDrives.get(member.drive)!;
        return { ...at, local: true, api: drive, health: ownHealth(drive) };
      }
      const remote = remoteDrive(reach.peers.get(member.node)!, member.drive);
      return { ...at, local: false, api: remote.api satisfies DriveApi, health: remote.health };
    }),
  }));
}

/** Our own drive answers at once or has stopped. */
function ownHealth(drive: Drive): DriveHealth {
  return {
    get suspect() {
      return drive.stopReason() !== undefined;
    },
    readLatencyMs: 0,
    hedgeAfterMs: () => 50,
  };
}
