/** What the clients of one site met since the entry started. */
export interface SiteStats {
  ok: number;
  writesOk: number;
  failed: number;
  lastWriteOkAtMs: number | null;
  /** Distinct clients (`x-client-id`) with a successful write since the last route. */
  writersSinceRoute: number;
  writesOkSinceRoute: number;
}

export interface SecondOfSite {
  writesOk: number;
  failed: number;
  held: number;
}

/** One second of traffic; `atMs` is its start, Unix milliseconds. */
export interface Second {
  atMs: number;
  sites: Record<string, SecondOfSite>;
}

const keptSeconds = 3600;
const maxWriters = 10_000;

/** Counts what passes, by site and by second. */
export class Traffic {
  readonly #sites = new Map<string, Omit<SiteStats, 'writersSinceRoute'> & { writers: Set<string> }>();
  readonly #seconds = new Map<number, Second>();
  /** When each writer was last seen, Unix milliseconds, oldest first. */
  readonly #writersSeen = new Map<string, number>();

  constructor(sites: readonly string[]) {
    for (const site of sites) {
      const none = { ok: 0, writesOk: 0, failed: 0, lastWriteOkAtMs: null, writesOkSinceRoute: 0 };
      this.#sites.set(site, { ...none, writers: new Set() });
    }
  }

  sawWriter(clientId: string, nowMs: number): void {
    this.#writersSeen.delete(clientId);
    this.#writersSeen.set(clientId, nowMs);
    if (this.#writersSeen.size > maxWriters) this.#writersSeen.delete(this.#writersSeen.keys().next().value ?? '');
  }

  /** Distinct writers seen within the last milliseconds, whatever they met. */
  writersSeen(withinMs: number, nowMs: number): number {
    let count = 0;
    for (const seenAtMs of this.#writersSeen.values()) if (nowMs - seenAtMs <= withinMs) count += 1;
    return count;
  }

  held(site: string, nowMs: number): void {
    this.#second(site, nowMs).held += 1;
  }

  succeeded(site: string, writer: string | null, isWrite: boolean, nowMs: number): void {
    const stats = this.#sites.get(site);
    if (stats === undefined) return;
    stats.ok += 1;
    if (!isWrite) return;
    stats.writesOk += 1;
    stats.writesOkSinceRoute += 1;
    stats.lastWriteOkAtMs = nowMs;
    this.#second(site, nowMs).writesOk += 1;
    if (writer !== null && stats.writers.size < maxWriters) stats.writers.add(writer);
  }

  failed(site: string, nowMs: number): void {
    const stats = this.#sites.get(site);
    if (stats === undefined) return;
    stats.failed += 1;
    this.#second(site, nowMs).failed += 1;
  }

  routed(): void {
    for (const stats of this.#sites.values()) {
      stats.writers.clear();
      stats.writesOkSinceRoute = 0;
    }
  }

  stats(): Record<string, SiteStats> {
    const entries = [...this.#sites].map(([site, { writers, ...counts }]) => {
      return [site, { ...counts, writersSinceRoute: writers.size }] as const;
    });
    return Object.fromEntries(entries);
  }

  /** Seconds that began at or after a moment, oldest first; seconds without traffic are left out. */
  series(sinceMs: number): Second[] {
    return [...this.#seconds.values()].filter((second) => second.atMs + 999 >= sinceMs);
  }

  #second(site: string, nowMs: number): SecondOfSite {
    const atMs = Math.floor(nowMs / 1000) * 1000;
    let second = this.#seconds.get(atMs);
    if (second === undefined) {
      second = { atMs, sites: {} };
      this.#seconds.set(atMs, second);
      if (this.#seconds.size > keptSeconds) this.#seconds.delete(this.#seconds.keys().next().value ?? 0);
    }
    return (second.sites[site] ??= { writesOk: 0, failed: 0, held: 0 });
  }
}
