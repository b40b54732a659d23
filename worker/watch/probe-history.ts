/** What one observer has seen of one thing, as a value. All times are milliseconds of the observer's monotonic clock. */
export interface ProbeHistory {
  /** Start of the newest good look; the start of looking before there was one. */
  readonly lastGoodMs: number;
  /** Start of the first failed look of this outage; null while up. */
  readonly firstFailedMs: number | null;
  /** Failed looks of this outage. */
  readonly failures: number;
  readonly why: string;
}

/** One look that has ended. */
export type Look = { startedMs: number } & ({ ok: true } | { ok: false; why: string });

export interface ProbeView {
  up: boolean;
  /** Milliseconds since the last good look STARTED; 0 while up. */
  downForMs: number;
  /** Milliseconds since the first failed look of this outage STARTED; 0 while up. */
  failedForMs: number;
  failures: number;
  why: string;
}

export function noLooksYet(nowMs: number): ProbeHistory {
  return { lastGoodMs: nowMs, firstFailedMs: null, failures: 0, why: '' };
}

/**
 * Looks overlap and end out of order; what counts is when they started. A failure that began before the last good look
 * says nothing new, and a good look that began before a failure does not undo it.
 */
export function recordLook(history: ProbeHistory, look: Look): ProbeHistory {
  const { lastGoodMs, firstFailedMs } = history;
  if (!look.ok) {
    if (look.startedMs < lastGoodMs) return history;
    const first = Math.min(firstFailedMs ?? look.startedMs, look.startedMs);
    return { ...history, firstFailedMs: first, failures: history.failures + 1, why: look.why };
  }
  if (look.startedMs < lastGoodMs) return history;
  if (firstFailedMs !== null && look.startedMs < firstFailedMs) return { ...history, lastGoodMs: look.startedMs };
  return noLooksYet(look.startedMs);
}

export function viewOf(history: ProbeHistory, nowMs: number): ProbeView {
  const { lastGoodMs, firstFailedMs, failures, why } = history;
  if (firstFailedMs === null) return { up: true, downForMs: 0, failedForMs: 0, failures: 0, why: '' };
  return { up: false, downForMs: nowMs - lastGoodMs, failedForMs: nowMs - firstFailedMs, failures, why };
}
