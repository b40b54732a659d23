import { type Clock } from '../../../storage-node/ports.ts';
import { type Scheduler } from './scheduler.ts';

/**
 * A machine that a node runs on: it can lose power, be frozen for a while, and its wall clock can be wrong. A start is
 * one life of the node's process; what an ended life had begun is never heard of again.
 */
export interface Machine {
  readonly index: number;
  /** Number of the present life; undefined while the machine is off. */
  readonly life: number | undefined;
  start(): void;
  stop(): void;
  /** Frozen like by SIGSTOP: nothing happens on it until `resume`, then everything at once. */
  pause(): void;
  resume(): void;
  readonly paused: boolean;
  /** Added to true time by its wall clock. */
  skewMs: number;
  /** Runs something on the machine after a delay, if this life still goes on then. */
  later(life: number, delayMs: number, run: () => void): { cancel(): void };
  /** Runs something now, or once it is not paused any more. */
  take(run: () => void): void;
  /** The clock of the present life. */
  clock(): Clock;
}

/** True time at the beginning of every world: 2026-01-01. */
export const beginningMs = Date.UTC(2026, 0, 1);

export function createMachine(scheduler: Scheduler, index: number): Machine {
  let life: number | undefined;
  let lives = 0;
  let paused = false;
  let backlog: (() => void)[] = [];
  const machine: Machine = {
    index,
    skewMs: 0,
    get life() {
      return life;
    },
    get paused() {
      return paused;
    },
    start() {
      life = ++lives;
    },
    stop() {
      life = undefined;
      paused = false;
      backlog = [];
    },
    pause() {
      paused = life !== undefined;
    },
    resume() {
      paused = false;
      const waiting = backlog;
      backlog = [];
      // Each in a moment of its own, so that promises of one come to rest before the next.
      for (const run of waiting) scheduler.after(0, run);
    },
    later(ofLife, delayMs, run) {
      let cancelled = false;
      const due = (): void => {
        if (life !== ofLife || cancelled) return;
        machine.take(() => {
          if (life === ofLife && !cancelled) run();
        });
      };
      const timer = scheduler.after(delayMs, due);
      return {
        cancel() {
          cancelled = true;
          timer.cancel();
        },
      };
    },
    take(run) {
      if (paused) backlog.push(run);
      else run();
    },
    clock() {
      const own = life ?? -1;
      const bornMs = scheduler.nowMs();
      return {
        wallMs: () => Math.floor(beginningMs + scheduler.nowMs() + machine.skewMs),
        monotonicMs: () => scheduler.nowMs() - bornMs,
        setTimer: (delayMs, run) => machine.later(own, delayMs, run),
      };
    },
  };
  return machine;
}
