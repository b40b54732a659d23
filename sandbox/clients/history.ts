import type { TruthOutcome, TruthRow } from '../truth.ts';

/** One second as the clients saw it; `atMs` is its start. */
export interface ClientSecond {
  atMs: number;
  acked: number;
  refused: number;
  unknown: number;
}

export interface SiteAcks {
  acked: number;
  firstAckAtMs: number | null;
  lastAckAtMs: number | null;
}

/** What the clients saw since a moment. All times are Unix milliseconds of the clients' clock. */
export interface ClientStats {
  sinceMs: number;
  nowMs: number;
  clients: number;
  running: boolean;
  acked: number;
  refused: number;
  unknown: number;
  lastAckAtMs: number | null;
  /** By the site that acknowledged. */
  sites: Record<string, SiteAcks>;
  /**
   * Longest time without an acknowledged write of anybody: between two acks, the last one before `sinceMs` included, or
   * from the last ack to now. `null` before the first ack.
   */
  longestGap: { ms: number; fromMs: number; toMs: number } | null;
  series: ClientSecond[];
}

/** All outcomes in memory, by time of their end: 17 bytes each. */
export class History {
  #endAtMs = new Float64Array(1 << 16);
  #kind = new Uint8Array(1 << 16);
  #count = 0;
  readonly #sites: string[] = [];
  readonly #outcomes: TruthOutcome[] = ['acked', 'refused', 'unknown'];

  add(row: TruthRow): void {
    if (this.#count === this.#endAtMs.length) this.#grow();
    let site = this.#sites.indexOf(row.site ?? '');
    if (site < 0) site = this.#sites.push(row.site ?? '') - 1;
    this.#endAtMs[this.#count] = row.endAtMs;
    this.#kind[this.#count] = site * this.#outcomes.length + this.#outcomes.indexOf(row.outcome);
    this.#count += 1;
  }

  since(sinceMs: number, nowMs: number): Omit<ClientStats, 'clients' | 'running'> {
    const stats = { sinceMs, nowMs, acked: 0, refused: 0, unknown: 0, lastAckAtMs: null as number | null };
    const sites: Record<string, SiteAcks> = {};
    const seconds = new Map<number, ClientSecond>();
    const first = this.#firstSince(sinceMs);
    const gaps = new LongestGap(this.#lastAckBefore(first));
    for (let i = first; i < this.#count; i++) {
      const endAtMs = this.#endAtMs[i] ?? 0;
      const kind = this.#kind[i] ?? 0;
      const outcome = this.#outcomes[kind % this.#outcomes.length] ?? 'unknown';
      stats[outcome] += 1;
      secondOf(seconds, endAtMs)[outcome] += 1;
      if (outcome !== 'acked') continue;
      stats.lastAckAtMs = endAtMs;
      gaps.ack(endAtMs);
      const site = (sites[this.#sites[Math.floor(kind / this.#outcomes.length)] ?? ''] ??= noAcks());
      site.acked += 1;
      site.firstAckAtMs ??= endAtMs;
      site.lastAckAtMs = endAtMs;
    }
    return { ...stats, sites, longestGap: gaps.upTo(nowMs), series: [...seconds.values()] };
  }

  #lastAckBefore(index: number): number | null {
    for (let i = index - 1; i >= 0; i--) {
      if ((this.#kind[i] ?? 0) % this.#outcomes.length === 0) return this.#endAtMs[i] ?? null;
    }
    return null;
  }

  #firstSince(sinceMs: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#endAtMs[middle] ?? 0) < sinceMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #grow(): void {
    const endAtMs = new Float64Array(this.#count * 2);
    const kind = new Uint8Array(this.#count * 2);
    endAtMs.set(this.#endAtMs);
    kind.set(this.#kind);
    this.#endAtMs = endAtMs;
    this.#kind = kind;
  }
}

class LongestGap {
  #fromMs: number | null;
  #longest = { ms: 0, fromMs: 0, toMs: 0 };
  constructor(fromMs: number | null) {
    this.#fromMs = fromMs;
  }
  ack(atMs: number): void {
    if (this.#fromMs !== null && atMs - this.#fromMs >= this.#longest.ms) {
      this.#longest = { ms: atMs - this.#fromMs, fromMs: this.#fromMs, toMs: atMs };
    }
    this.#fromMs = atMs;
  }
  upTo(nowMs: number): { ms: number; fromMs: number; toMs: number } | null {
    if (this.#fromMs === null) return null;
    this.ack(nowMs);
    return this.#longest;
  }
}

function noAcks(): SiteAcks {
  return { acked: 0, firstAckAtMs: null, lastAckAtMs: null };
}

function secondOf(seconds: Map<number, ClientSecond>, endAtMs: number): ClientSecond {
  const atMs = Math.floor(endAtMs / 1000) * 1000;
  let second = seconds.get(atMs);
  if (second === undefined) seconds.set(atMs, (second = { atMs, acked: 0, refused: 0, unknown: 0 }));
  return second;
}
