import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepReceiving } from '../../drivers/bucket/receiving.ts';
import { follow } from '../../mover/changes/follow.ts';
import type { NodeLog } from '../../mover/changes/node-log.ts';
import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { ReplicationLedger } from '../../mover/ledger/ledger.ts';
import { openBucketEnds, type BucketEnds } from '../../drivers/bucket/replication/bucket-ends.ts';
import type { Replication } from './replication.ts';
import { compareEveryMs, ruleOf } from '../../drivers/bucket/replication/rule.ts';
import { shareLedgerWithin } from '../../mover/ledger/shared-ledger.ts';
import type { Teller } from './teller.ts';
import { readTurn, sameTurn, type Turn } from '../../drivers/bucket/replication/turn.ts';

const lookEveryMs = 100;
/** A page of the change log so often: what it costs the cluster, and how exact the lag is. */
const paceMs = 200;
const againMs = 1_000;
const ledgerWithinMs = 10_000;
/** A standby that is away is not waited for: what is written meanwhile is to be seen. */
const readyWithinMs = 5_000;

/** Replicates one way until the turn changes or the piece ends. @throws MusterError what ended it otherwise */
export async function followTurn(replication: Replication, turn: Turn, teller: Teller): Promise<void> {
  const { order, directory, ends } = replication;
  await using both = openBucketEnds(order.resource, turn);
  await using shared = await shareLedgerWithin(path.join(directory, turn.ledger), ledgerWithinMs);
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ends]);
  const watch = setInterval(() => {
    if (!sameTurn(readTurn(directory), turn)) stop.abort(new Error('the turn has changed'));
  }, lookEveryMs);
  const receiving = keepReceiving(both.to, turn.epoch, signal);
  const overtaken = receiving.finished.then(() => new Promise<never>(() => {}));
  overtaken.catch(() => undefined); // awaited by the races below
  await using _telling = teller.follow(turn, shared.ledger);
  try {
    await Promise.race([receiving.ready, overtaken, sleep(readyWithinMs, undefined, { signal })]);
    const parts = { replication, turn, teller, both, ledger: shared.ledger, signal };
    await Promise.race([followOnAndOn(parts), overtaken]);
  } catch (err) {
    if (!signal.aborted) throw err;
  } finally {
    clearInterval(watch);
    stop.abort(new Error('ended'));
    await receiving.finished.catch(() => undefined);
  }
}

interface Parts {
  replication: Replication;
  turn: Turn;
  teller: Teller;
  both: BucketEnds;
  ledger: ReplicationLedger;
  signal: AbortSignal;
}

/** What passes does not end it: a store that is away is asked again, and the ledger tells meanwhile what is behind. */
async function followOnAndOn(parts: Parts): Promise<void> {
  const { replication, signal } = parts;
  const { order, context } = replication;
  while (!signal.aborted) {
    try {
      await followOnce(parts);
    } catch (err) {
      signal.throwIfAborted();
      const failure = toMusterError(err);
      if (!failure.retryable) throw failure;
      context.log(`${order.service}/${order.resource.name}: ${failure.message}`);
      await sleep(againMs, undefined, { signal });
    }
  }
}

async function followOnce({ replication, turn, teller, both, ledger, signal }: Parts): Promise<void> {
  const { order, directory, context } = replication;
  const tell = (text: string): void => context.log(`${order.service}/${order.resource.name}: ${text}`);
  await follow({
    ...{ source: both.source, target: both.target, ledger, signal, paceMs },
    rule: ruleOf(order.resource, turn),
    log: heard(both.log, teller),
    everyMs: compareEveryMs(order.resource),
    workDirectory: path.join(directory, turn.ledger),
    onFigures: (figures) => teller.rate(figures),
    onPass: (pass) => {
      teller.foreign(pass.counts.kept);
      if (pass.kind === 'stopped') tell(`a listing was broken off: ${pass.code}: ${pass.message}`);
    },
    onGap: tell,
  });
}

/** Notes when the change log answered last: from silence nothing can be told of what was written. */
function heard(log: NodeLog, teller: Teller): NodeLog {
  return {
    async read(from) {
      const answer = await log.read(from);
      teller.heard();
      return answer;
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}
