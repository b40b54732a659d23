import { createBallotClock } from '../../../storage-node/consensus/ballot.ts';
import {
  type Change,
  createRegisters,
  type LostShards,
  type Registers,
} from '../../../storage-node/consensus/registers.ts';
import { StorageError } from '../../../storage-node/errors.ts';
import { type DataId, type IndexKey, type ShardPut } from '../../../storage-node/store/drive-api.ts';
import { type ErasureSet } from '../../../storage-node/store/set.ts';
import { checkHistory } from '../linearizability/checker.ts';
import { type Action, type Condition } from '../linearizability/history.ts';
import { type Cluster, createCluster, type SimDisk, type SimNode } from './cluster.ts';
import { planFaults } from './faults.ts';
import { createRandom, hashOf, type Random } from './random.ts';
import { type Answer, askFrom, createRecorder, NoServer, type Recorder } from './recorder.ts';
import { createScheduler, type Scheduler } from './scheduler.ts';
import { type RunOptions, type RunResult, untilIdle } from './run.ts';

/** Registers as a node serves them: values are names, and each comes with a small shard for every drive. */
interface Program {
  registers: Registers;
  set: ErasureSet;
  put(key: string, value: string, condition: Condition | undefined): Promise<void>;
  get(key: string): Promise<string | undefined>;
  remove(key: string): Promise<void>;
}

const guard = { fromClient: true, bucketGeneration: 1 };

function startProgram({
  env,
  nodeIndex,
  sets,
  floor,
}: Parameters<Parameters<typeof createCluster<Program>>[1]['startProgram']>[0]): Program {
  const ballots = createBallotClock(nodeIndex, env.clock);
  ballots.observe(floor);
  const registers = createRegisters({
    env,
    ballots,
    dataIdsOf: (_key, value) => (value.length === 0 ? [] : [dataIdOf(textOf(value))]),
    rebuild: rebuildShards,
    siteEpoch: () => 0,
    lagging: () => {},
    readDeadlineMs: 2_000,
    writeDeadlineMs: 4_000,
  });
  const set = sets[0]!;
  return {
    registers,
    set,
    async put(key, value, condition) {
      await registers.change(set, keyOf(key), guard, (current) => {
        if (!holds(current.tombstone || current.ballot === 0 ? undefined : textOf(current.state), condition)) {
          throw new StorageError('PreconditionFailed', 'refused');
        }
        return writeOf(value);
      });
    },
    async get(key) {
      const current = await registers.get(set, keyOf(key), { withHead: true });
      if (current.tombstone || current.ballot === 0) return undefined;
      const value = textOf(current.state);
      for (const { position, shard } of current.heads) {
        if (shard.kind === 'shard' && textOf(shard.payload) !== shardOf(value, position))
          return `wrong bytes of ${value}`;
      }
      return value;
    },
    async remove(key) {
      await registers.change(set, keyOf(key), guard, (current) => {
        if (current.tombstone || current.ballot === 0) return 'unchanged';
        return { ...writeOf(''), tombstone: true, headData: undefined, puts: () => [], note: Buffer.from('delete') };
      });
    },
  };
}

/** As erasure codes go: any half of the shards gives the others. */
async function rebuildShards({ set, value, dataIds, positions }: LostShards): Promise<Map<number, ShardPut[]>> {
  const [dataId] = dataIds;
  let whole = 0;
  for (const { api } of set.drives) {
    const [shard] = await api.readSmall([dataId!], { deadlineMs: 500 }).catch(() => []);
    if (shard?.kind === 'shard') whole += 1;
  }
  if (whole < set.drives.length / 2) throw new StorageError('ReadQuorumLost', 'too few shards');
  return new Map(positions.map((position) => [position, [smallShard(textOf(value), position)]]));
}

function smallShard(value: string, position: number): ShardPut {
  const payload = Buffer.from(shardOf(value, position));
  return { kind: 'small', dataId: dataIdOf(value), shard: position, payload, checksum: 0n };
}

function writeOf(value: string): Change {
  const dataId = dataIdOf(value);
  return {
    tombstone: false,
    hidden: false,
    state: Buffer.from(value),
    headData: dataId,
    puts: (position) => [smallShard(value, position)],
    note: Buffer.from(`put ${value}`),
  };
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const keyOf = (key: string): IndexKey => Buffer.concat([Buffer.alloc(8, 1), Buffer.from([0x10]), Buffer.from(key)]);
const shardOf = (value: string, position: number): string => `shard ${position} of ${value}`;
const dataIdOf = (value: string): DataId => {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(hashOf(value), 0);
  id.write(value.slice(0, 12), 4);
  return id;
};

function holds(current: string | undefined, condition: Condition | undefined): boolean {
  if (condition === undefined) return true;
  if ('ifNoneMatch' in condition) return current === undefined;
  return current === condition.ifMatch;
}

/** One run of clients that write and read a few registers, on drives of the given kind, while things go wrong. */
export async function runRegisters(
  seed: number,
  makeDisk: (name: string, random: Random) => SimDisk,
  options: RunOptions = {},
): Promise<RunResult> {
  const scheduler = createScheduler({ keepLines: options.keepLines ?? false });
  const random = createRandom(seed, 'clients');
  const cluster = createCluster<Program>(scheduler, {
    seed,
    size: options.size ?? 4,
    sets: 1,
    makeDisk,
    startProgram,
    ...(options.wrapDrive === undefined ? {} : { wrapDrive: options.wrapDrive }),
  });
  for (const node of cluster.nodes) {
    if (random.chance(0.3)) node.machine.skewMs = random.pick([-3_600_000, -500, 500, 3_600_000]);
    await cluster.start(node);
  }
  const faults = planFaults(
    cluster,
    { random: createRandom(seed, 'faults'), scheduler },
    { count: options.faults ?? random.between(3, 6), overMs: 1_500, names: options.faultNames },
  );
  cluster.network.straggling = options.straggling ?? random.pick([0, 0.01, 0.05]);
  const recorder = createRecorder(scheduler);
  const world: Clients = { cluster, scheduler, recorder, keys: ['a', 'b'].slice(0, random.between(1, 2)) };
  const count = random.between(3, 5);
  const clients = Array.from({ length: count }, (_, i) =>
    runClient(world, `c${i}`, createRandom(seed, `client${i}`), Math.ceil((options.operations ?? 40) / count)),
  );
  const result = (violation: string | undefined): RunResult => ({
    seed,
    violation,
    faults: faults.happened,
    operations: recorder.operations.length,
    digest: scheduler.digest,
    lines: scheduler.lines,
  });
  try {
    await untilIdle(scheduler, Promise.all(clients));
    faults.heal();
    await untilIdle(scheduler, lookAtAll(world));
  } catch (error) {
    return result(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const report = checkHistory(recorder.operations);
  return result(report.kind === 'linearizable' ? undefined : report.text);
}

interface Clients {
  cluster: Cluster<Program>;
  scheduler: Scheduler;
  recorder: Recorder;
  keys: string[];
}

async function runClient(world: Clients, client: string, random: Random, count: number): Promise<void> {
  const { scheduler, recorder } = world;
  let seen: string | undefined;
  for (let i = 0; i < count; i++) {
    await pause(scheduler, random.pick([0, 5, 50, 200]) * random.next());
    const key = random.pick(world.keys);
    const action = chooseAction(random, `${client}.${i}`, seen);
    const node = random.pick(world.cluster.nodes);
    const outcome = await recorder.run({ client, key }, action, () => perform(world, node, key, action));
    if (action.kind === 'get' && outcome?.kind === 'ok') seen = outcome.value;
  }
}

function chooseAction(random: Random, value: string, seen: string | undefined): Action {
  const chance = random.next();
  if (chance < 0.45) return { kind: 'get' };
  if (chance < 0.7) return { kind: 'put', value };
  if (chance < 0.8) return { kind: 'delete' };
  const condition = seen === undefined || random.chance(0.4) ? { ifNoneMatch: '*' } : { ifMatch: seen };
  return { kind: 'put', value, condition };
}

async function perform(world: Clients, node: SimNode<Program>, key: string, action: Action): Promise<Answer> {
  const { program, machine } = node;
  if (program === undefined) {
    await pause(world.scheduler, 50);
    throw new NoServer('connection refused');
  }
  return askFrom(world.scheduler, machine, async () => {
    if (action.kind === 'get') return { kind: 'ok', value: await program.get(key) };
    if (action.kind === 'put') await program.put(key, action.value, action.condition);
    else await program.remove(key);
    return { kind: 'ok' };
  });
}

/** After everything is good again every key can be read from every node, and there is enough data of each value. */
async function lookAtAll(world: Clients): Promise<void> {
  const { cluster, recorder, scheduler } = world;
  for (const key of world.keys) {
    for (const node of cluster.nodes) {
      for (let tries = 0; ; tries++) {
        const who = { client: `last${node.machine.index}`, key };
        const outcome = await recorder.run(who, { kind: 'get' }, () => perform(world, node, key, { kind: 'get' }));
        if (outcome?.kind === 'ok') break;
        if (tries === 20) throw new Error(`${key} cannot be read from node${node.machine.index}, though all is well`);
        await pause(scheduler, 1_000);
      }
    }
    await checkData(world, key);
  }
}

async function checkData({ cluster }: Clients, key: string): Promise<void> {
  const { program } = cluster.nodes[0]!;
  const current = await program!.registers.get(program!.set, keyOf(key));
  if (current.tombstone || current.ballot === 0) return;
  const value = textOf(current.state);
  let whole = 0;
  for (const { api, position } of program!.set.drives) {
    const [shard] = await api.readSmall([dataIdOf(value)]);
    if (shard?.kind === 'shard' && textOf(shard.payload) === shardOf(value, position)) whole += 1;
  }
  if (whole < cluster.nodes.length / 2) throw new Error(`of ${value} in ${key} only ${whole} shards are left`);
}

function pause(scheduler: Scheduler, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    scheduler.after(delayMs, resolve);
  });
}
