import { type Ballot } from '../../../storage-node/consensus/ballot.ts';
import { type Env } from '../../../storage-node/ports.ts';
import { type DriveApi } from '../../../storage-node/store/drive-api.ts';
import { type DriveHandle, type ErasureSet } from '../../../storage-node/store/set.ts';
import { createHealth } from './health.ts';
import { createMachine, type Machine } from './machine.ts';
import { createNetwork, type Network } from './network.ts';
import { createRandom, type Random } from './random.ts';
import { remoteDrive } from './remote-drive.ts';
import { type Scheduler } from './scheduler.ts';

/** A drive that keeps what it has made durable when its machine loses power. */
export interface SimDisk {
  /** Mounts and opens it for a new life of its machine. */
  open(env: Env): Promise<DriveApi>;
  /** The power is gone: what was not durable is gone, too. */
  crash(): void;
  /** What else can befall it; undefined for a disk that knows nothing of that. */
  faults?: DiskFaults;
}

/** What can befall a disk. */
export interface DiskFaults {
  failSyncs(): void;
  failReads(): void;
  fillUp(): void;
  /** Undoes all of these. */
  mend(): void;
  /** Damages some of what lies on it, for good. */
  rot(random: Random): void;
}

/** What a node's program is given at each start. */
export interface NodeWorld {
  env: Env;
  nodeIndex: number;
  sets: readonly ErasureSet[];
  /** The highest floor of the node's own drives: earlier lives issued no ballot above it. */
  floor: Ballot;
}

export interface SimNode<Program> {
  machine: Machine;
  disks: SimDisk[];
  /** Undefined while the machine is off or starting. */
  program: Program | undefined;
  drives: (DriveApi | undefined)[];
}

/** Nodes with drives; each set has one drive of every node. */
export interface Cluster<Program> {
  nodes: SimNode<Program>[];
  network: Network;
  /** Switches a machine on and starts its program; undefined drives could not be opened. */
  start(node: SimNode<Program>): Promise<void>;
  /** Pulls the plug. */
  crash(node: SimNode<Program>): void;
}

export interface ClusterPlan<Program> {
  seed: number;
  size: number;
  sets: number;
  makeDisk: (name: string, random: Random) => SimDisk;
  startProgram: (world: NodeWorld) => Program;
  stopProgram?: (program: Program) => void;
  /** Stands between the network and a drive: for drives that are wrong on purpose. */
  wrapDrive?: (drive: DriveApi, nodeIndex: number) => DriveApi;
}

export function createCluster<Program>(scheduler: Scheduler, plan: ClusterPlan<Program>): Cluster<Program> {
  const network = createNetwork(scheduler, createRandom(plan.seed, 'network'));
  const nodes = Array.from({ length: plan.size }, (_, index): SimNode<Program> => {
    const disks = Array.from({ length: plan.sets }, (_unused, set) => {
      const name = `node${index}/disk${set}`;
      return plan.makeDisk(name, createRandom(plan.seed, name));
    });
    return { machine: createMachine(scheduler, index), disks, program: undefined, drives: [] };
  });
  const setsOf = (node: SimNode<Program>): ErasureSet[] =>
    Array.from({ length: plan.sets }, (_, index) => ({
      index,
      drives: nodes.map((owner, position): DriveHandle => {
        const name = `node${position}/disk${index}`;
        const health = createHealth(node.machine.clock());
        const to = { machine: owner.machine, name, open: () => owner.drives[index] };
        const api = remoteDrive({ network, from: node.machine, to, outcome: health });
        return { api, name, nodeIndex: position, position, local: owner === node, health };
      }),
    }));
  return {
    nodes,
    network,
    async start(node) {
      const { machine } = node;
      machine.start();
      const { life } = machine;
      const random = createRandom(plan.seed, `node${machine.index}/life${life}`);
      const env: Env = { clock: machine.clock(), randomBytes: (count) => random.bytes(count) };
      const drives: (DriveApi | undefined)[] = [];
      let floor = 0;
      for (const disk of node.disks) {
        const drive = await disk.open(env).catch((error: unknown) => {
          scheduler.note(`node${machine.index} cannot open a disk: ${String(error)}`);
        });
        floor = Math.max(floor, (await drive?.raiseFloor(0).catch(() => 0)) ?? 0);
        drives.push(drive === undefined ? undefined : (plan.wrapDrive?.(drive, machine.index) ?? drive));
      }
      if (machine.life !== life) return;
      node.drives = drives;
      node.program = plan.startProgram({ env, nodeIndex: machine.index, sets: setsOf(node), floor });
      scheduler.note(`node${machine.index} is up`);
    },
    crash(node) {
      if (node.machine.life === undefined) return;
      scheduler.note(`node${node.machine.index} loses power`);
      node.machine.stop();
      if (node.program !== undefined) plan.stopProgram?.(node.program);
      node.program = undefined;
      node.drives = [];
      for (const disk of node.disks) disk.crash();
    },
  };
}
