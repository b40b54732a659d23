import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import type { ReplicateOrder } from '../../../workflows/engine/protection.ts';
import type { ReplicationStatus } from '../../../workflows/engine/replication.ts';
import { readSite } from '../../drivers/bucket/cluster.ts';
import { bucketSite, isReplicated } from '../../drivers/bucket/config.ts';
import type { ProtectionContext } from '../context.ts';
import { continueLedger } from '../../mover/ledger/continue.ts';
import { followTurn } from './follow-turn.ts';
import { replicationDir } from '../../drivers/bucket/replication/home.ts';
import { takePlace } from './place.ts';
import type { Replication } from './replication.ts';
import { shareLedger } from '../../mover/ledger/shared-ledger.ts';
import { createTeller, type Teller } from './teller.ts';
import { newTurn, readTurn, sameTurn, writeTurn, type Turn } from '../../drivers/bucket/replication/turn.ts';

/** After so long it answers, so that the workflow shows how far it is; it is ordered again at once. */
const usualPieceMs = 10 * 60_000;
const lookEveryMs = 200;
const againMs = 1_000;
const askMs = 2_000;

/**
 * Copies objects from the site that writes to the other one, as the change log of its cluster tells of them, and goes on
 * wherever it was killed. Which way, the moves of the service decide: they leave a turn beside the ledger, and this
 * follows it, also to the other direction. What passes (a site away, a lease not held yet) is waited for.
 * @returns after a while the status; rejects when the signal is aborted
 * @throws MusterError what a person has to see to: CONFIG_INVALID, SECRET_MISSING, DELETE_GUARD, TARGET_FULL, ...
 */
export async function replicateObjects(
  order: ReplicateOrder,
  context: ProtectionContext,
  pieceMs = usualPieceMs,
): Promise<ReplicationStatus> {
  const { service, resource } = order;
  if (!isReplicated(resource))
    throw new MusterError('CONFIG_INVALID', `${resource.name} of ${service} is not replicated: replication is none`);
  const directory = replicationDir(context.stateDir, service, resource.name);
  await using place = await takePlace(directory, context.signal);
  const ends = AbortSignal.any([place.signal, AbortSignal.timeout(pieceMs)]);
  const replication: Replication = { order, directory, context, signal: place.signal, ends };
  await using teller = createTeller(order, directory, (status) => context.heartbeat(status));
  while (!ends.aborted) {
    await step(replication, teller);
    place.signal.throwIfAborted();
  }
  return teller.now();
}

async function step(replication: Replication, teller: Teller): Promise<void> {
  const { directory, ends, context, order } = replication;
  try {
    const turn = readTurn(directory) ?? (await firstTurn(replication, teller));
    if (turn === undefined) await pause(againMs, ends);
    else if (turn.state === 'frozen') {
      teller.frozen(turn);
      await resumeUndone(replication, turn);
      await pause(lookEveryMs, ends);
    } else await followTurn(replication, await atPresentEpoch(replication, turn), teller);
  } catch (err) {
    replication.signal.throwIfAborted();
    if (ends.aborted) return;
    const failure = toMusterError(err);
    if (failure.code === 'EPOCH_STALE') return freezeOvertaken(replication, failure);
    if (failure.code !== 'REPLICATION_FROZEN' && !failure.retryable) throw failure;
    teller.trouble(failure.message);
    context.log(`${order.service}/${order.resource.name}: ${failure.message}`);
    await pause(againMs, ends);
  }
}

/** The direction of the order, once its source is open under a lease. */
async function firstTurn({ order, directory }: Replication, teller: Teller): Promise<Turn | undefined> {
  const { resource, from, to } = order;
  const view = await readSite(bucketSite(resource, from), { timeoutMs: askMs });
  if (view.fenced || view.epoch < 1 || (view.leased && view.lease.remainingMs <= 0)) {
    teller.trouble(`${resource.name} at ${from} takes no writes yet (epoch ${view.epoch})`);
    return undefined;
  }
  const turn = newTurn({ epoch: view.epoch, from, to });
  writeTurn(directory, turn);
  return turn;
}

/** A fence that was taken back leaves the same writer at a newer epoch. */
async function atPresentEpoch({ order, directory }: Replication, turn: Turn): Promise<Turn> {
  const view = await readSite(bucketSite(order.resource, turn.from), { timeoutMs: askMs }).catch(() => undefined);
  if (view === undefined || view.fenced || view.epoch <= turn.epoch) return turn;
  const newer = { ...turn, epoch: view.epoch };
  writeTurn(directory, newer);
  return newer;
}

/** A move that froze it was taken back: the same site writes again, at the epoch of that move, and nobody was promoted. */
async function resumeUndone({ order, directory }: Replication, turn: Turn): Promise<void> {
  const { resource } = order;
  const limit = { timeoutMs: askMs };
  const [from, to] = await Promise.all(
    [turn.from, turn.to].map((site) => readSite(bucketSite(resource, site), limit).catch(() => undefined)),
  );
  if (from === undefined || to === undefined || from.fenced || turn.frozen === null) return;
  if (from.epoch < turn.frozen.epoch || to.epoch >= from.epoch || !sameTurn(readTurn(directory), turn)) return;
  const again = newTurn({ ...turn, epoch: from.epoch });
  await using frozen = await shareLedger(path.join(directory, turn.ledger));
  await using next = await shareLedger(path.join(directory, again.ledger));
  await continueLedger(frozen.ledger, next.ledger);
  writeTurn(directory, again);
}

/** The other site was promoted and nobody told this replication, so it ends here by itself. */
async function freezeOvertaken({ directory }: Replication, { message }: MusterError): Promise<void> {
  const turn = readTurn(directory);
  if (turn === undefined || turn.state === 'frozen') return;
  await using shared = await shareLedger(path.join(directory, turn.ledger));
  const { atMs } = await shared.ledger.freeze({ epoch: turn.epoch, why: message });
  writeTurn(directory, { ...turn, state: 'frozen', frozen: { epoch: turn.epoch, runId: '', atMs, complete: false } });
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
