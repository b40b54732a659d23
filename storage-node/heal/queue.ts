import { type Clock } from '../ports.ts';
import { type ErasureSet } from '../store/set.ts';
import { type IndexKey } from '../store/drive-api.ts';
import { type HealTarget, type KeyHealth } from './types.ts';

/** Keys known to be short of something, waiting to be healed; each at most once. */
export interface HealQueue {
  add(set: ErasureSet, key: IndexKey): void;
  readonly length: number;
  /** Keys that were not taken because the queue was full; a recount will find them. */
  readonly dropped: number;
  stop(): void;
}

export interface HealQueueOptions {
  clock: Clock;
  heal: (target: HealTarget) => Promise<KeyHealth>;
  /** Most keys kept; a key more is dropped (and counted), for the recount to find. */
  capacity?: number;
  /** How long a key waits first, milliseconds: most often its write is just being finished. */
  delayMs?: number;
  onHealed?: (health: KeyHealth) => void;
}

/** Pauses between attempts at the same key grow to this, milliseconds. */
const longestPauseMs = 60_000;

export function createHealQueue(options: HealQueueOptions): HealQueue {
  const { clock, capacity = 100_000, delayMs = 1_000 } = options;
  /** `again`: met once more while it was being healed, perhaps after that had looked. */
  const waiting = new Map<string, { target: HealTarget; dueMs: number; attempts: number; again: boolean }>();
  let dropped = 0;
  let stopped = false;
  let armed = false;

  const arm = (): void => {
    if (armed || stopped || waiting.size === 0) return;
    armed = true;
    clock.setTimer(delayMs, () => {
      armed = false;
      runDue().then(arm, arm);
    });
  };
  const runDue = async (): Promise<void> => {
    for (const [id, entry] of [...waiting]) {
      if (stopped) return;
      if (entry.dueMs > clock.monotonicMs()) continue;
      entry.again = false;
      const health = await attempt(entry.target);
      if (health !== undefined) options.onHealed?.(health);
      if (health === undefined || health.kind === 'short') {
        entry.attempts += 1;
        entry.dueMs = clock.monotonicMs() + Math.min(longestPauseMs, delayMs * 2 ** entry.attempts);
      } else if (entry.again) {
        entry.attempts = 0;
        entry.dueMs = clock.monotonicMs() + delayMs;
      } else waiting.delete(id);
    }
  };
  /** A key that cannot even be looked at must not keep those behind it waiting. */
  const attempt = async (target: HealTarget): Promise<KeyHealth | undefined> => {
    try {
      return await options.heal(target);
    } catch {
      return undefined;
    }
  };
  return {
    add(set, key) {
      if (stopped) return;
      const id = `${set.index}/${Buffer.from(key).toString('latin1')}`;
      const known = waiting.get(id);
      if (known !== undefined) {
        known.again = true;
        return;
      }
      if (waiting.size >= capacity) {
        dropped += 1;
        return;
      }
      const target = { set, key: Uint8Array.from(key) };
      waiting.set(id, { target, dueMs: clock.monotonicMs() + delayMs, attempts: 0, again: false });
      arm();
    },
    get length() {
      return waiting.size;
    },
    get dropped() {
      return dropped;
    },
    stop() {
      stopped = true;
      waiting.clear();
    },
  };
}
