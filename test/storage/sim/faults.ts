import { type Cluster, type DiskFaults, type SimNode } from './cluster.ts';
import { type Random } from './random.ts';
import { type Scheduler } from './scheduler.ts';

/** What can happen to a cluster for a while. `undo` makes it good again. */
interface Fault {
  name: string;
  undo: () => void;
}

type FaultMaker = <P>(cluster: Cluster<P>, random: Random, scheduler: Scheduler) => Fault;

const crash: FaultMaker = (cluster, random, scheduler) => {
  const node = random.pick(cluster.nodes);
  cluster.crash(node);
  return { name: `crash of node${node.machine.index}`, undo: () => restart(cluster, node, scheduler) };
};

/** All at once, as when the power of a site fails. */
const crashAll: FaultMaker = (cluster, _random, scheduler) => {
  for (const node of cluster.nodes) cluster.crash(node);
  return {
    name: 'crash of all nodes',
    undo: () => {
      for (const node of cluster.nodes) restart(cluster, node, scheduler);
    },
  };
};

const pause: FaultMaker = (cluster, random) => {
  const { machine } = random.pick(cluster.nodes);
  machine.pause();
  return { name: `pause of node${machine.index}`, undo: () => machine.resume() };
};

const cutOneWay: FaultMaker = (cluster, random) => {
  const [from, to] = random.shuffled(cluster.nodes).map(({ machine }) => machine.index);
  cluster.network.cut(from!, to!);
  return { name: `cut ${from}>${to}`, undo: () => cluster.network.mend() };
};

const partition: FaultMaker = (cluster, random) => {
  const order = random.shuffled(cluster.nodes).map(({ machine }) => machine.index);
  const at = random.between(1, order.length - 1);
  const [left, right] = [order.slice(0, at), order.slice(at)];
  for (const a of left) {
    for (const b of right) {
      cluster.network.cut(a, b);
      cluster.network.cut(b, a);
    }
  }
  return { name: `partition ${left.join('')}|${right.join('')}`, undo: () => cluster.network.mend() };
};

const lossy: FaultMaker = ({ network }, random) => {
  network.loss = random.pick([0.02, 0.1, 0.3]);
  return { name: `${network.loss * 100} % loss`, undo: () => network.mend() };
};

/** Writes that get half-way. */
const lossyWrites: FaultMaker = ({ network }, random) => {
  const name = random.pick(['accept', 'accept', 'accept', 'decide', 'prepare', 'finish']);
  const loss = random.pick([0.3, 0.6]);
  network.lossOf.set(name, loss);
  return { name: `${loss * 100} % loss of "${name}"`, undo: () => network.mend() };
};

const repeating: FaultMaker = ({ network }, random) => {
  network.duplication = random.pick([0.1, 0.5]);
  return { name: 'messages come twice', undo: () => network.mend() };
};

const slowLinks: FaultMaker = (cluster, random) => {
  const { machine } = random.pick(cluster.nodes);
  const byMs = random.pick([20, 200, 2_000]);
  for (const other of cluster.nodes) {
    if (random.chance(0.7)) cluster.network.slow(machine.index, other.machine.index, byMs * random.next());
    if (random.chance(0.7)) cluster.network.slow(other.machine.index, machine.index, byMs * random.next());
  }
  return { name: `node${machine.index} is slow by up to ${byMs} ms`, undo: () => cluster.network.mend() };
};

const clockJump: FaultMaker = (cluster, random) => {
  const { machine } = random.pick(cluster.nodes);
  machine.skewMs += random.pick([-1, 1]) * random.pick([10, 1_000, 60_000, 3_600_000]);
  return { name: `the clock of node${machine.index} jumps to ${machine.skewMs} ms`, undo: () => {} };
};

function onDisk(name: string, befall: (faults: DiskFaults, random: Random) => void): FaultMaker {
  return (cluster, random) => {
    const node = random.pick(cluster.nodes);
    const { faults } = random.pick(node.disks);
    if (faults === undefined) return { name: 'nothing', undo: () => {} };
    befall(faults, random);
    return { name: `${name} on node${node.machine.index}`, undo: () => faults.mend() };
  };
}

/** Always the same disk of a run: on more of them rot may take more than can be put together again. */
const rot: FaultMaker = (cluster, random) => {
  const node = cluster.nodes.at(-1)!;
  for (const { faults } of node.disks) faults?.rot(random);
  return { name: `rot on node${node.machine.index}`, undo: () => {} };
};

const makers = {
  syncsFail: onDisk('syncs fail', (faults) => faults.failSyncs()),
  readsFail: onDisk('reads fail', (faults) => faults.failReads()),
  diskFull: onDisk('the disk is full', (faults) => faults.fillUp()),
  rot,

  crash,
  crashAll,
  pause,
  cutOneWay,
  partition,
  lossy,
  lossyWrites,
  repeating,
  slowLinks,
  clockJump,
};
export type FaultName = keyof typeof makers;

/** Each as often as it is in here. */
const usual: readonly FaultName[] = [
  ...(['crash', 'crash', 'crash', 'crashAll', 'pause', 'cutOneWay', 'partition', 'lossy'] as const),
  ...(['lossyWrites', 'lossyWrites', 'lossyWrites', 'lossyWrites', 'repeating', 'slowLinks', 'clockJump'] as const),
];

/** With those of real disks. */
export const withDisks: readonly FaultName[] = [
  ...usual,
  ...([
    'syncsFail',
    'syncsFail',
    'readsFail',
    'diskFull',
    'diskFull',
    'rot',
    'rot',
    'rot',
    'crash',
    'crashAll',
  ] as const),
];

function restart<P>(cluster: Cluster<P>, node: SimNode<P>, scheduler: Scheduler): void {
  if (node.machine.life !== undefined) return;
  cluster.start(node).catch((error: unknown) => scheduler.note(`node${node.machine.index} failed: ${String(error)}`));
}

/** Plans `count` faults over so many milliseconds. @returns what makes everything good again */
export function planFaults<P>(
  cluster: Cluster<P>,
  tools: { random: Random; scheduler: Scheduler },
  plan: { count: number; overMs: number; names?: readonly FaultName[] | undefined },
): { heal: () => void; happened: string[] } {
  const { random, scheduler } = tools;
  const happened: string[] = [];
  const open = new Set<Fault>();
  let healed = false;
  for (let i = 0; i < plan.count; i++) {
    const maker = makers[random.pick(plan.names ?? usual)];
    const startMs = random.next() * plan.overMs;
    const lastsMs = random.pick([5, 50, 300, 1_500, 6_000]) * (0.5 + random.next());
    scheduler.after(startMs, () => {
      if (healed) return;
      const fault = maker(cluster, random, scheduler);
      scheduler.note(`FAULT ${fault.name}`);
      happened.push(fault.name);
      open.add(fault);
      scheduler.after(lastsMs, () => {
        if (!open.delete(fault)) return;
        scheduler.note(`over: ${fault.name}`);
        fault.undo();
      });
    });
  }
  return {
    happened,
    heal() {
      healed = true;
      for (const fault of open) fault.undo();
      open.clear();
      cluster.network.mend();
      for (const node of cluster.nodes) {
        node.machine.resume();
        for (const { faults } of node.disks) faults?.mend();
        // A drive that has met a failing disk has stopped for good.
        if (node.disks.some(({ faults }) => faults !== undefined)) cluster.crash(node);
        restart(cluster, node, scheduler);
      }
    },
  };
}
