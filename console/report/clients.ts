import type { ClientSecond } from './input.ts';
import type { ClientsReport } from './model.ts';

/** More columns than this nobody can tell apart on a page. */
const mostBins = 240;

/** Acknowledged and failed writes over time, gathered into as many columns as a picture can hold. */
export function clientsOf(seconds: readonly ClientSecond[] | null): ClientsReport | null {
  if (seconds === null || seconds.length === 0) return null;
  const startMs = Math.min(...seconds.map((second) => second.atMs));
  const endMs = Math.max(...seconds.map((second) => second.atMs)) + 1000;
  const binSeconds = Math.max(1, Math.ceil((endMs - startMs) / 1000 / mostBins));
  const sites = [...new Set(seconds.flatMap((second) => second.site ?? []))];
  const bins = Array.from({ length: Math.ceil((endMs - startMs) / 1000 / binSeconds) }, (_, at) => ({
    atMs: startMs + at * binSeconds * 1000,
    acked: Object.fromEntries(sites.map((site) => [site, 0])),
    failed: 0,
  }));
  for (const { atMs, site, acked, failed } of seconds) {
    const bin = bins[Math.floor((atMs - startMs) / 1000 / binSeconds)];
    if (bin === undefined) continue;
    bin.failed += failed;
    if (site !== null) bin.acked[site] = (bin.acked[site] ?? 0) + acked;
  }
  const total = (of: (second: ClientSecond) => number) => seconds.reduce((sum, second) => sum + of(second), 0);
  return { sites, binSeconds, bins, acked: total((s) => s.acked), failed: total((s) => s.failed) };
}
