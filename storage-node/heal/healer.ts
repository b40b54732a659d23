import { type Clock, type Timer } from '../ports.ts';
import { type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';
import { healKey } from './heal-key.ts';
import { createHealQueue } from './queue.ts';
import { type Recount, recountSet } from './recount.ts';
import { type HealDeps, type KeyHealth } from './types.ts';

/** What is known of a set's health. */
export interface SetHealStatus {
  set: number;
  running: { kind: 'recount' | 'scrub'; startedAtMs: number; soFar: Recount } | undefined;
  /** The newest pass that ended. `whole` is the proof: all drives answered and nothing was short at its end. */
  last:
    { kind: 'recount' | 'scrub'; startedAtMs: number; endedAtMs: number; result: Recount; whole: boolean } | undefined;
  /** End of the newest pass that read and verified every block of every drive, Unix milliseconds. */
  scrubbedAtMs: number | undefined;
}

export interface HealTotals {
  queued: number;
  dropped: number;
  keysHealed: number;
  shardsWritten: number;
  bytesWritten: number;
  damagedShards: number;
}

export interface Healer {
  /** A key that some drive is short of: healed soon. */
  lagging(set: ErasureSet, key: IndexKey): void;
  /** A read met a missing or damaged shard. */
  damaged(set: ErasureSet, key: IndexKey): void;
  /** A drive came back, or is new: its set is recounted soon. */
  driveReturned(set: ErasureSet): void;
  /** Runs a pass now; resolves with what the final, only counting pass found. */
  run(set: ErasureSet, kind: 'recount' | 'scrub'): Promise<Recount>;
  status(): SetHealStatus[];
  totals(): HealTotals;
  stop(): Promise<void>;
}

export interface HealerOptions {
  sets: readonly ErasureSet[];
  /** Whether this node is the one to look after the set by itself now; several may think so, which only costs work. */
  inCharge: (set: ErasureSet) => boolean;
  /** Time between recounts of a set, milliseconds. */
  recountEveryMs: number;
  /** Time between passes that verify every block, milliseconds: bit rot is found within it. */
  scrubEveryMs: number;
}

/** After a pass at whose end a set was not whole. */
const retryMs = 5 * 60_000;

interface SetState extends SetHealStatus {
  dueMs: number;
  scrubDueMs: number;
}

export function createHealer(deps: HealDeps, options: HealerOptions): Healer {
  const { clock } = deps.env;
  const states = new Map(options.sets.map((set) => [set, freshState(set, clock, options)]));
  const totals: HealTotals = {
    queued: 0,
    dropped: 0,
    keysHealed: 0,
    shardsWritten: 0,
    bytesWritten: 0,
    damagedShards: 0,
  };
  let stopped = false;
  let work: Promise<unknown> = Promise.resolve();
  const verifyNext = new Set<string>();
  const idOf = (set: ErasureSet, key: IndexKey): string => `${set.index}/${Buffer.from(key).toString('latin1')}`;

  const queue = createHealQueue({
    clock,
    async heal(target) {
      const id = idOf(target.set, target.key);
      const verify = verifyNext.delete(id);
      let health: KeyHealth | undefined;
      try {
        health = await healKey(deps, target, verify);
        return health;
      } finally {
        // What is damaged looks whole to who does not read it: the next attempt must.
        if (verify && (health === undefined || health.kind === 'short')) verifyNext.add(id);
      }
    },
    onHealed: (health) => {
      if (health.kind === 'healed') totals.keysHealed += 1;
      totals.shardsWritten += health.shardsWritten;
      totals.bytesWritten += health.bytesWritten;
    },
  });

  /** One pass after the other: healing is never what keeps a machine busy. */
  const run = (set: ErasureSet, kind: 'recount' | 'scrub'): Promise<Recount> => {
    const pass = work.then(() => runPass(deps, { set, kind, state: states.get(set)!, totals, stopped: () => stopped }));
    work = pass.catch(() => {});
    return pass;
  };
  /** What was busy or away is looked after again long before the next pass would come round. */
  const retrySoon = (state: SetState): void => {
    state.dueMs = Math.min(state.dueMs, clock.monotonicMs() + retryMs);
  };
  let tick: Timer | undefined;
  const look = (): void => {
    if (stopped) return;
    for (const [set, state] of states) {
      if (state.running !== undefined || !options.inCharge(set)) continue;
      const nowMs = clock.monotonicMs();
      if (nowMs < Math.min(state.dueMs, state.scrubDueMs)) continue;
      const kind = nowMs >= state.scrubDueMs ? 'scrub' : 'recount';
      state.dueMs = nowMs + options.recountEveryMs;
      if (kind === 'scrub') state.scrubDueMs = nowMs + options.scrubEveryMs;
      run(set, kind).then(
        () => state.last?.whole === true || retrySoon(state),
        () => retrySoon(state),
      );
    }
    tick = clock.setTimer(1_000, look);
  };
  tick = clock.setTimer(1_000, look);

  return {
    lagging: (set, key) => queue.add(set, key),
    damaged(set, key) {
      totals.damagedShards += 1;
      verifyNext.add(idOf(set, key));
      queue.add(set, key);
    },
    driveReturned(set) {
      const state = states.get(set);
      if (state !== undefined) state.dueMs = Math.min(state.dueMs, clock.monotonicMs() + 1_000);
    },
    run,
    status: () =>
      [...states.values()].map(({ set, running, last, scrubbedAtMs }) => ({ set, running, last, scrubbedAtMs })),
    totals: () => ({ ...totals, queued: queue.length, dropped: queue.dropped }),
    async stop() {
      stopped = true;
      tick?.cancel();
      queue.stop();
      await work;
    },
  };
}

function freshState(set: ErasureSet, clock: Clock, options: HealerOptions): SetState {
  const nowMs = clock.monotonicMs();
  return {
    set: set.index,
    running: undefined,
    last: undefined,
    scrubbedAtMs: undefined,
    dueMs: nowMs + options.recountEveryMs,
    scrubDueMs: nowMs + options.scrubEveryMs,
  };
}

interface Pass {
  set: ErasureSet;
  kind: 'recount' | 'scrub';
  state: SetState;
  totals: HealTotals;
  stopped: () => boolean;
}

/** Heals, then counts once more without healing: only that second count can say that a set is whole. */
async function runPass(deps: HealDeps, pass: Pass): Promise<Recount> {
  const { set, kind, state, totals } = pass;
  const startedAtMs = deps.env.clock.wallMs();
  const verify = kind === 'scrub';
  const track = (soFar: Recount): void => {
    state.running = { kind, startedAtMs, soFar };
  };
  try {
    const healed = await recountSet(deps, set, { verify, heal: true, onProgress: track, stopped: pass.stopped });
    totals.shardsWritten += healed.shardsWritten;
    totals.bytesWritten += healed.bytesWritten;
    totals.keysHealed += healed.unwhole - healed.short;
    const needsProof = healed.unwhole > 0;
    const proof = needsProof ? await recountSet(deps, set, { verify, heal: false, stopped: pass.stopped }) : healed;
    const result: Recount = { ...healed, short: proof.short, reasons: proof.reasons, complete: proof.complete };
    const endedAtMs = deps.env.clock.wallMs();
    state.last = { kind, startedAtMs, endedAtMs, result, whole: proof.complete && proof.short === 0 };
    if (verify && proof.complete) state.scrubbedAtMs = endedAtMs;
    return result;
  } finally {
    state.running = undefined;
  }
}
