import type { ClientSecond, WriteGap } from './input.ts';

/** One write as its client saw it end. Any order; times are Unix milliseconds of the clients' one clock. */
export interface ClientWrite {
  endAtMs: number;
  /** Whether the client was told that the write is kept. */
  acked: boolean;
  /** Site that answered; null when none did. */
  site: string | null;
}

/** Acknowledged and failed writes of each second and site, as the report takes them. */
export function secondsOfClients(writes: readonly ClientWrite[]): ClientSecond[] {
  const seconds = new Map<string, ClientSecond>();
  for (const { endAtMs, acked, site } of writes) {
    const atMs = Math.floor(endAtMs / 1000) * 1000;
    const key = `${atMs} ${site ?? ''}`;
    const second = seconds.get(key) ?? { atMs, site, acked: 0, failed: 0 };
    second[acked ? 'acked' : 'failed'] += 1;
    seconds.set(key, second);
  }
  return [...seconds.values()].sort((a, b) => a.atMs - b.atMs);
}

export interface Span {
  fromMs: number;
  toMs: number;
}

/**
 * The longest time between two acknowledged writes that touches a span, e.g. from the fault to t8 of a run. Its end is
 * open when the longest is the one from the last write to `heardUntilMs`. Null when nothing was acknowledged at all.
 */
export function writeGapOfClients(writes: readonly ClientWrite[], span: Span, heardUntilMs: number): WriteGap | null {
  const acks = writes.flatMap((write) => (write.acked ? [write.endAtMs] : [])).sort((a, b) => a - b);
  let longestMs = -1;
  let longest: WriteGap | null = null;
  for (const [at, lastAckBeforeMs] of acks.entries()) {
    const firstAckAfterMs = acks[at + 1] ?? null;
    const endMs = firstAckAfterMs ?? Math.max(heardUntilMs, lastAckBeforeMs);
    const touches = lastAckBeforeMs <= span.toMs && endMs >= span.fromMs;
    if (!touches || endMs - lastAckBeforeMs <= longestMs) continue;
    longestMs = endMs - lastAckBeforeMs;
    longest = { lastAckBeforeMs, firstAckAfterMs };
  }
  return longest;
}
