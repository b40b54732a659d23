import { StorageError } from '../../../storage-node/errors.ts';
import { type Action } from '../linearizability/history.ts';
import { type FaultName } from './faults.ts';
import { ask, pause, type World } from './objects-run.ts';
import { createRandom, type Random } from './random.ts';
import { type Deadlines } from './storage-program.ts';

/** What leaves writes half-way, with data staged that no register names, and mostly on more nodes than one. */
export const halfWay: readonly FaultName[] = [
  ...(['lossyWrites', 'lossyWrites', 'lossyWrites', 'lossy', 'partition', 'cutOneWay', 'slowLinks', 'crash'] as const),
];

/** As in production: what is freed stays for a while, and no call may be waited for until it is gone. */
export const fullDeadlines: Deadlines = { readDeadlineMs: 5_000, writeDeadlineMs: 10_000 };

const operationsEach = 8;

/**
 * Cuts one node off from the others, without a word, in the midst of what earlier faults have left half-way. The others
 * are the majority and can reach each other, so nothing that is asked of them may be refused.
 */
export async function majorityGoesOn(world: World): Promise<void> {
  const { cluster, scheduler, seed } = world;
  const random = createRandom(seed, 'majority');
  await untilUp(world);
  const [alone, ...others] = random.shuffled(cluster.nodes);
  cluster.network.straggling = 0;
  cluster.network.delayMs.to = random.pick([2, 40]);
  for (const a of others)
    for (const b of others)
      if (a !== b && random.chance(0.3)) cluster.network.slow(a.machine.index, b.machine.index, 300 * random.next());
  let isCut = false;
  const cut = pause(scheduler, random.pick([0, 20, 200]) * random.next()).then(() => {
    isCut = true;
    for (const { machine } of others) {
      cluster.network.cut(machine.index, alone!.machine.index);
      cluster.network.cut(alone!.machine.index, machine.index);
    }
    scheduler.note(`node${alone!.machine.index} is cut off`);
  });
  const refusals: string[] = [];
  await Promise.all(
    others.map(async (node, i) => {
      const own = createRandom(seed, `majority${i}`);
      for (let n = 0, left = operationsEach; left > 0; n++, left -= isCut ? 1 : 0) {
        await pause(scheduler, own.pick([0, 5, 50]) * own.next());
        const key = own.pick(world.keys);
        const action = chooseAction(own, `m${i}.${n}`);
        const who = `m${i}`;
        await world.recorder.run({ client: who, key }, action, () =>
          ask(world, node, { key, action, inParts: false }).catch((error: unknown) => {
            if (isRefusal(error))
              refusals.push(`${action.kind} of ${key} by node${node.machine.index}: ${String(error)}`);
            throw error;
          }),
        );
      }
    }),
  );
  await cut;
  if (refusals.length > 0) throw new Error(`the majority was refused: ${refusals.join('; ')}`);
}

function chooseAction(random: Random, name: string): Action {
  if (random.chance(0.25)) return { kind: 'get' };
  if (random.chance(0.15)) return { kind: 'delete' };
  return { kind: 'put', value: `${name}/${random.pick([16, 3_000, 300_000])}` };
}

/** Of a write that others overtook again and again the outcome may be unknown; nothing else may befall the majority. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof StorageError)) return true;
  if (error.code === 'NoSuchKey' || error.code === 'PreconditionFailed') return false;
  return !error.message.includes('it is not known whether this write took effect');
}

async function untilUp({ cluster, scheduler }: World): Promise<void> {
  while (cluster.nodes.some(({ program }) => program === undefined)) await pause(scheduler, 10);
}
