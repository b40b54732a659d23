import { type Clock } from '../../../storage-node/ports.ts';

/** Time that passes only when told to. */
export interface FakeClock extends Clock {
  /** Lets so much time pass: what is due happens in its order, each with all that follows from it. */
  pass(ms: number): Promise<void>;
}

export function fakeClock(startMs = 0): FakeClock {
  let nowMs = startMs;
  let timers: { atMs: number; run: () => void }[] = [];
  return {
    // As if the machine had been up since the epoch.
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    setTimer(delayMs, run) {
      const timer = { atMs: nowMs + Math.max(0, delayMs), run };
      timers.push(timer);
      return {
        cancel() {
          timers = timers.filter((one) => one !== timer);
        },
      };
    },
    async pass(ms) {
      const endMs = nowMs + ms;
      await settled();
      for (;;) {
        const next = timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        timers = timers.filter((one) => one !== next);
        nowMs = next.atMs;
        next.run();
        await settled();
      }
      nowMs = endMs;
    },
  };
}

/** Chains of promises that wait for nothing outside come to rest. */
async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
}
