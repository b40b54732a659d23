import path from 'node:path';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { logBehindMs } from '../../mover/changes/follow.ts';
import { positionAt, timeOfPosition } from '../../mover/changes/node-log.ts';
import { turnLedger } from '../../mover/ledger/conflicts.ts';
import type { ReplicationLedger } from '../../mover/ledger/ledger.ts';
import { shareLedgerWithin } from '../../mover/ledger/shared-ledger.ts';
import { newTurn, readTurn, writeTurn, type Turn } from './replication/turn.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import type { DriverServices } from '../guarded/services.ts';
import { afterChange, done, type DriverVerb } from '../guarded/verb.ts';
import { readSite } from './cluster.ts';
import { bucketSite, isReplicated } from './config.ts';
import { keepReceiving } from './receiving.ts';
import { eachConflict, openPast, type Past } from './replication/conflicts.ts';
import { directoryOf, roles } from './replication/look.ts';
import { settleConflict } from './replication/settle.ts';

const ledgerWithinMs = 5_000;
const readyWithinMs = 10_000;
const askMs = 1_000;
/** Clocks that differ by more are not compared. */
const clockAskMs = 5_000;

/**
 * Turns the replication of a bucket round: the site that stands by takes copies from the writer from now on. What it alone
 * had is kept there under another name first, so that nothing is overwritten or removed without being kept.
 * Throws EPOCH_STALE or STORAGE_UNREACHABLE before anything is changed.
 */
export const rejoin: DriverVerb = {
  async perform(input, context, services) {
    if (!isReplicated(input.resource)) return done({ replication: 'none' });
    await requireStandby(input, context);
    return afterChange(() => turnRound(input, context, services));
  },
  confirm: (input, _, services) =>
    Promise.resolve(isReplicated(input.resource) ? readTurned(input, services) : done({ replication: 'none' })),
};

async function requireStandby({ plan, resource, ...input }: VerbInput, { signal }: VerbContext): Promise<void> {
  const { standby } = roles({ plan, resource, ...input });
  const view = await readSite(bucketSite(resource, standby), { timeoutMs: askMs, signal });
  if (view.epoch > plan.epoch)
    throw new MusterError('EPOCH_STALE', `${resource.name} at ${standby} is at epoch ${view.epoch}`);
}

async function turnRound(input: VerbInput, context: VerbContext, services: DriverServices): Promise<PerformOutcome> {
  const turned = readTurned(input, services);
  if (turned.status === 'done') return turned;
  const directory = directoryOf(input, services);
  const { writer, standby } = roles(input);
  const turn = newTurn({ epoch: input.plan.epoch, from: writer, to: standby });
  await using past = await openPast(input, services);
  await using home = await shareLedgerWithin(path.join(directory, turn.ledger), ledgerWithinMs);
  if ((await home.ledger.getNote('turned')) === undefined) {
    await turnLedger(past.ledger, home.ledger, await agreedAtMs(past, context.signal));
    await home.ledger.setNote('turned', true);
  }
  // A planned move carried everything: there is nothing that one site alone could have.
  const wasComplete = past.turn?.frozen?.complete === true && past.turn.frozen.epoch === input.plan.epoch;
  const kept = wasComplete ? 0 : await keepLosers(input, context, past, home.ledger);
  writeTurn(directory, turn);
  return done({ ...evidenceOf(turn), kept, keptAt: kept === 0 ? null : `.muster/kept/e${turn.epoch}/ at ${standby}` });
}

/** When the last turn was frozen, by the present writer's own clock; undefined when that cannot be told. */
async function agreedAtMs({ turn, ends }: Past, signal: AbortSignal): Promise<number | undefined> {
  const after = positionAt(Date.now() - clockAskMs);
  const answer = await ends.log.read({ after, signal }).catch(() => undefined);
  if (
    turn?.frozen === undefined ||
    turn.frozen === null ||
    answer?.kind !== 'page' ||
    answer.page.more ||
    answer.page.position === after
  )
    return undefined;
  const offsetMs = timeOfPosition(answer.page.position) + logBehindMs - Date.now();
  return Math.floor(turn.frozen.atMs + offsetMs);
}

async function keepLosers(
  input: VerbInput,
  context: VerbContext,
  past: Past,
  home: ReplicationLedger,
): Promise<number> {
  const { epoch } = input.plan;
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, context.signal]);
  const receiving = keepReceiving(past.ends.to, epoch, signal);
  receiving.finished.catch(() => undefined); // awaited by the race below
  let kept = 0;
  try {
    const late = new Promise<never>((_, reject) => {
      AbortSignal.any([signal, AbortSignal.timeout(readyWithinMs)]).addEventListener('abort', () =>
        reject(new MusterError('STORAGE_UNREACHABLE', `the cluster of ${past.ends.to.site} takes no copies`)),
      );
    });
    late.catch(() => undefined); // comes also when nobody waits for it any more
    await Promise.race([receiving.ready, receiving.finished, late]);
    const at = { old: past.ends.target.client, home, epoch, call: { signal } };
    await eachConflict(input, past, context, async (conflict) => {
      if ((await settleConflict(conflict, at)) === 'kept') kept += 1;
    });
    return kept;
  } finally {
    over.abort();
  }
}

function readTurned(input: VerbInput, services: DriverServices): PerformOutcome {
  const { plan, resource } = input;
  const { writer } = roles(input);
  try {
    const turn = readTurn(directoryOf(input, services));
    if (turn?.state === 'active' && turn.from === writer && turn.epoch === plan.epoch) return done(evidenceOf(turn));
    const now = turn === undefined ? 'nowhere' : `from ${turn.from} at epoch ${turn.epoch}, ${turn.state}`;
    return { status: 'not-yet', why: `${resource.name} is replicated ${now}` };
  } catch (err) {
    return { status: 'unknown', why: toMusterError(err).message };
  }
}

function evidenceOf({ from, to, epoch }: Turn): { from: string; to: string; epoch: number } {
  return { from, to, epoch };
}
