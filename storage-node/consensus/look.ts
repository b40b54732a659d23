import { type Clock, type Timer } from '../ports.ts';
import { type DriveHandle, type ErasureSet, readQuorum } from '../store/set.ts';
import { type IndexKey, type ReadReply } from '../store/drive-api.ts';
import { type Answered } from './collect.ts';
import { type HedgeBudget } from './hedge.ts';
import { judge, type Judgement } from './judge.ts';

/** What a look at a key found: the judgement, and every drive's reply (with its small shard, if asked for). */
export interface Look {
  judgement: Judgement | undefined;
  replies: Answered<ReadReply>[];
}

/** How often it is looked whether drives that could still tell have become suspect, milliseconds. */
const suspectLookMs = 50;

/**
 * Asks as few drives as can tell: N/2, the nearest and quickest first; another one each time an answer is late or
 * missing; all of them when the newest value is not known to be decided, and then no suspect one is waited for.
 * `judgement` is undefined when fewer than N/2 drives answered before the deadline.
 */
export function look(
  set: ErasureSet,
  request: { key: IndexKey; withHead: boolean },
  options: { clock: Clock; deadlineMs: number; hedges: HedgeBudget },
): Promise<Look> {
  return new Promise((resolve) => {
    const size = set.drives.length;
    const startedMs = options.clock.monotonicMs();
    options.hedges.read();
    const order = byNearness(set.drives);
    const found: Look = { judgement: undefined, replies: [] };
    let asked = 0;
    const failed: DriveHandle[] = [];
    let closed = false;
    let hedge: Timer | undefined;
    let suspects: Timer | undefined;
    const close = (): void => {
      if (closed) return;
      closed = true;
      deadline.cancel();
      hedge?.cancel();
      suspects?.cancel();
      resolve(found);
    };
    const deadline = options.clock.setTimer(options.deadlineMs, close);
    const askNext = (count: number): void => {
      for (let i = 0; i < count && asked < size && !closed; i++) ask(order[asked++]!);
    };
    const hedgeLater = (after: number): void => {
      hedge?.cancel();
      if (asked >= size) return;
      hedge = options.clock.setTimer(after, () => {
        if (options.hedges.allows(options.clock.monotonicMs() - startedMs)) askNext(1);
        hedgeLater(after);
      });
    };
    const answered = (): void => {
      if (found.replies.length >= readQuorum(size)) {
        found.judgement = judge(
          found.replies.map(({ value }) => value),
          size,
          false,
        );
        if (found.judgement.kind === 'value') return close();
        askNext(size);
        if (suspects === undefined) closeAtSuspects();
      }
      closeWhenAllSpoke();
    };
    const closeWhenAllSpoke = (): void => {
      if (found.replies.length + failed.length === size) close();
    };
    const closeAtSuspects = (): void => {
      const silent = order.filter((one) => !failed.includes(one) && !found.replies.some(({ drive }) => drive === one));
      if (silent.every(({ health }) => health.suspect)) close();
      else suspects = options.clock.setTimer(suspectLookMs, closeAtSuspects);
    };
    const ask = (drive: DriveHandle): void => {
      drive.api.read(request, { deadlineMs: options.deadlineMs }).then(
        (value) => {
          if (closed) return;
          found.replies.push({ drive, value });
          answered();
        },
        () => {
          if (closed) return;
          failed.push(drive);
          askNext(1);
          closeWhenAllSpoke();
        },
      );
    };
    askNext(readQuorum(size));
    if (!closed) hedgeLater(slowest(order.slice(0, readQuorum(size))));
  });
}

/** Local first, then those that behave, the quickest first. */
export function byNearness(drives: readonly DriveHandle[]): DriveHandle[] {
  return [...drives].sort(
    (a, b) =>
      Number(a.health.suspect) - Number(b.health.suspect) ||
      Number(b.local) - Number(a.local) ||
      a.health.readLatencyMs - b.health.readLatencyMs ||
      a.position - b.position,
  );
}

function slowest(drives: readonly DriveHandle[]): number {
  return Math.max(...drives.map((drive) => drive.health.hedgeAfterMs()));
}
