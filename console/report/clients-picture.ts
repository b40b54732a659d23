import { drawFlags, flagsEnd, flagsHeight, placeFlags, type Flag } from './flags.ts';
import { formatInteger } from './format.ts';
import { html, type Markup } from './markup.ts';
import type { ClientsReport, Report } from './model.ts';
import { placeClass } from './places.ts';
import { linearScale, niceTicks, secondTicks, tickText, type Scale } from './scale.ts';

const width = 1040;
const left = 46;
const plotHeight = 190;
const failedHeight = 34;

/** Acknowledged writes per second by site, failed ones below the line, as the clients saw them. */
export function clientsPicture(report: Report, clients: ClientsReport): Markup {
  const { bins, binSeconds } = clients;
  const startMs = bins[0]?.atMs ?? 0;
  const endMs = (bins[bins.length - 1]?.atMs ?? 0) + binSeconds * 1000;
  const wide = linearScale([startMs, endMs], [left, width]);
  const right = Math.max(0, flagsEnd(runFlags(report, wide)) - width);
  const x = linearScale([startMs, endMs], [left, width - right]);
  const flags = placeFlags(runFlags(report, x));
  const top = flagsHeight(flags) + 14;
  const base = top + plotHeight;
  const most = Math.max(1, ...bins.map((bin) => sum(Object.values(bin.acked)) / binSeconds));
  const ticks = niceTicks(0, most * 1.08, 4);
  const y = linearScale([0, Math.max(most, ticks[ticks.length - 1] ?? 0)], [base, top]);
  const zeroMs = zeroOf(report, startMs);
  return html`<svg
    class="picture"
    viewBox="0 0 ${width} ${base + failedHeight + 38}"
    role="img"
    aria-label="Acknowledged writes per second by site, and failed ones, as clients saw them"
  >
    ${outages(report, x, top, base)}
    ${ticks.map(
      (value) =>
        html`<line class="grid" x1="${left}" x2="${width - right}" y1="${y(value)}" y2="${y(value)}" /><text
            class="tick"
            x="${left - 8}"
            y="${y(value) + 4}"
            text-anchor="end"
          >
            ${formatInteger(value)}</text
          >`,
    )}
    ${drawFlags(flags, top - 8, base)} ${runStrips(report, x, top - 8)} ${ackedColumns(report, clients, x, y)}
    ${failedColumns(clients, x, base)}
    <line class="base" x1="${left}" x2="${width - right}" y1="${base}" y2="${base}" />
    ${timeTicks(x, zeroMs, base + failedHeight)}
  </svg>`;
}

/** The fault when there is one: then the axis says how long after it. */
function zeroOf(report: Report, startMs: number): number {
  return report.runs.flatMap((run) => run.clocks.flatMap((clock) => clock.atMs ?? []))[0] ?? startMs;
}

function runFlags(report: Report, x: Scale): Flag[] {
  const inside = (atMs: number): boolean => atMs >= x.from && atMs <= x.to;
  const flags = report.runs.flatMap((run): Flag[] => {
    const fault = run.clocks.find((clock) => clock.name === 'fault')?.atMs ?? null;
    const flag: Flag[] = inside(run.startedAtMs) ? [{ x: x(run.startedAtMs), text: run.kind, kind: 'clock' }] : [];
    return fault === null || !inside(fault) ? flag : [{ x: x(fault), text: 'fault', kind: 'fault' }, ...flag];
  });
  return flags;
}

function runStrips(report: Report, x: Scale, y: number): Markup[] {
  return report.runs.map((run) => {
    const start = Math.max(run.startedAtMs, x.from);
    const end = Math.min(run.endedAtMs ?? x.to, x.to);
    if (end < start) return html``;
    return html`<rect
      class="strip"
      x="${x(start)}"
      y="${y}"
      width="${Math.max(3, x(end) - x(start))}"
      height="4"
      rx="2"
    />`;
  });
}

function outages(report: Report, x: Scale, top: number, base: number): Markup[] {
  return report.runs.flatMap(({ writeGap, endedAtMs }) => {
    if (writeGap === null) return [];
    const from = Math.max(writeGap.lastAckBeforeMs, x.from);
    const to = Math.min(writeGap.firstAckAfterMs ?? endedAtMs ?? x.to, x.to);
    if (to <= from) return [];
    return [html`<rect class="outage" x="${x(from)}" y="${top}" width="${x(to) - x(from)}" height="${base - top}" />`];
  });
}

type Bin = ClientsReport['bins'][number];

/** Where the columns of a chart lie. */
interface Columns {
  x: Scale;
  binSeconds: number;
}

function ackedColumns(report: Report, { sites, bins, binSeconds }: ClientsReport, x: Scale, y: Scale): Markup[] {
  return bins.flatMap((bin) => {
    let from = 0;
    return sites.flatMap((site) => {
      const rate = (bin.acked[site] ?? 0) / binSeconds;
      if (rate === 0) return [];
      const span = [y(from + rate), y(from)] as const;
      from += rate;
      return [column({ x, binSeconds }, bin, span, placeClass(report, site))];
    });
  });
}

function failedColumns({ bins, binSeconds }: ClientsReport, x: Scale, base: number): Markup[] {
  const most = Math.max(...bins.map((bin) => bin.failed));
  const worst = bins.find((bin) => bin.failed === most);
  if (worst === undefined || most === 0) return [];
  const depth = linearScale([0, most], [0, failedHeight - 6]);
  const failing = bins.filter((bin) => bin.failed > 0);
  return [
    ...failing.map((bin) =>
      column({ x, binSeconds }, bin, [base + 1, base + 1 + Math.max(2, depth(bin.failed))], 'failed'),
    ),
    html`<text class="amount fault" x="${x(worst.atMs) - 6}" y="${base + 20}" text-anchor="end">
      ${formatInteger(Math.ceil(most / binSeconds))} failed /s
    </text>`,
  ];
}

function column({ x, binSeconds }: Columns, bin: Bin, [top, bottom]: readonly [number, number], kind: string): Markup {
  const start = x(bin.atMs);
  const room = x(bin.atMs + binSeconds * 1000) - start;
  return html`<rect
    class="bar ${kind}"
    x="${start + room * 0.08}"
    y="${top}"
    width="${room * 0.84}"
    height="${bottom - top}"
  />`;
}

function timeTicks(x: Scale, zeroMs: number, y: number): Markup[] {
  const ticks = secondTicks((x.from - zeroMs) / 1000, (x.to - zeroMs) / 1000, 10);
  return ticks.map(
    (seconds) =>
      html`<text class="tick" x="${x(zeroMs + seconds * 1000)}" y="${y + 16}" text-anchor="middle"
        >${tickText(seconds)}</text
      >`,
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
