import type { Pipe } from './pipe.ts';

/**
 * What is wrong with a link, or with one direction of it.
 * `clear`: nothing. `cut`: connections are closed at once. `reset`: the same with a TCP RST. `black-hole`: connections are
 * accepted and nothing ever arrives; those that live fall silent and stay open. `delay`: everything arrives `ms` later,
 * in order and as fast as before. `bandwidth`: all connections of the direction share `bytesPerSecond`.
 */
export type Fault =
  | { kind: 'clear' }
  | { kind: 'cut' }
  | { kind: 'reset' }
  | { kind: 'black-hole' }
  | { kind: 'delay'; ms: number }
  | { kind: 'bandwidth'; bytesPerSecond: number };

/** How much of a second one slice of a shared bandwidth may take: the smaller, the smoother. */
const sliceSeconds = 0.02;

/** One direction of one link: the fault in force, and what the connections that cross it share. */
export class Wire {
  fault: Fault = { kind: 'clear' };
  bytes = 0;
  readonly pipes = new Set<Pipe>();
  #freeAtMs = 0;

  set(fault: Fault): void {
    this.fault = fault;
    this.#freeAtMs = 0;
    for (const pipe of this.pipes) pipe.pump();
  }

  /** Asks for the right to send `wantedBytes` now; `waitMs` says when to ask again if none may go. */
  take(wantedBytes: number, bytesPerSecond: number): { bytes: number; waitMs: number } {
    const nowMs = performance.now();
    if (nowMs < this.#freeAtMs) return { bytes: 0, waitMs: this.#freeAtMs - nowMs };
    const bytes = Math.min(wantedBytes, Math.max(1, Math.ceil(bytesPerSecond * sliceSeconds)));
    // A late timer may catch up, by one slice at most, so that the rate holds on a busy machine.
    const fromMs = Math.max(this.#freeAtMs, nowMs - sliceSeconds * 1000);
    this.#freeAtMs = fromMs + (bytes / bytesPerSecond) * 1000;
    return { bytes, waitMs: 0 };
  }
}
