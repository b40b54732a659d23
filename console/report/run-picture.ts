import { clockId } from './clocks.ts';
import { drawFlags, flagsEnd, flagsHeight, placeFlags, type Flag } from './flags.ts';
import { formatMs } from './format.ts';
import { html, type Markup } from './markup.ts';
import type { Report, RunReport, StepReport } from './model.ts';
import { placeClass } from './places.ts';
import { tickText } from './scale.ts';
import { timeAxis, type Span, type TimeAxis } from './time-axis.ts';

const width = 1040;
const labelWidth = 190;
const rightRoom = 118;
const rowHeight = 26;
const barHeight = 12;
const shortestBar = 3;
const amountCharacter = 6.4;

/** One run as a picture: a lane for each step, the clocks as lines, the time without writes shaded. */
export function runPicture(report: Report, run: RunReport): Markup | null {
  const steps = run.steps.filter((step) => step.startedAtMs !== null && step.status !== 'skipped');
  if (steps.length === 0) return null;
  const outage = outageOf(run);
  const domain = domainOf(run, steps, outage, report.generatedAtMs);
  const axis = axisWithRoom(run, steps, domain);
  const flags = placeFlags(clockFlags(run, axis));
  const top = flagsHeight(flags) + 6;
  const lanes = steps.length + (outage === null ? 0 : 1);
  const bottom = top + lanes * rowHeight + 4;
  const zeroMs = run.clocks.find((clock) => clock.atMs !== null)?.atMs ?? domain.fromMs;
  const firstLane = outage === null ? 0 : 1;
  return html`<svg
    class="picture"
    viewBox="0 0 ${width} ${bottom + 34}"
    role="img"
    aria-label="Timeline of ${run.runId}: ${steps.length} steps"
  >
    ${outage === null ? null : outageBand(axis, outage, top, bottom)}
    ${axis.cuts.map((cut) => cutBand(cut, top, bottom))}
    ${axis.ticks(zeroMs, 9).map((tick) => tickLine(tick, top, bottom))} ${drawFlags(flags, top, bottom)}
    ${outage === null ? null : outageLane(axis, outage, top)}
    ${steps.map((step, at) => lane(report, untilEnd(step, domain), axis, top + (at + firstLane) * rowHeight))}
    <text class="axis-name" x="${labelWidth}" y="${bottom + 31}">since ${zeroName(run)}</text>
  </svg>`;
}

/** Leaves as much room at the right as the names of the last clocks and the amounts beside the last bars need. */
function axisWithRoom(run: RunReport, steps: readonly StepReport[], domain: Span): TimeAxis {
  const busy = steps.flatMap(busySpans);
  const axis = timeAxis(domain, busy, [labelWidth, width - rightRoom]);
  const amounts = steps.map(
    (step) => axis.x(step.endedAtMs ?? domain.toMs) + 10 + amountOf(step).length * amountCharacter,
  );
  const over = Math.max(0, flagsEnd(placeFlags(clockFlags(run, axis))) - width, ...amounts.map((end) => end - width));
  return over === 0 ? axis : timeAxis(domain, busy, [labelWidth, width - rightRoom - over]);
}

function zeroName(run: RunReport): string {
  const zero = run.clocks.find((clock) => clock.atMs !== null);
  return zero === undefined ? 'the first step' : `${zero.id} (${zero.name})`;
}

/** When no client could write: as the clients saw it, else from the fault to t7. */
function outageOf(run: RunReport): (Span & { seen: boolean }) | null {
  if (run.writeGap !== null) {
    const { lastAckBeforeMs, firstAckAfterMs } = run.writeGap;
    const endMs = firstAckAfterMs ?? run.endedAtMs;
    return endMs === null ? null : { fromMs: lastAckBeforeMs, toMs: endMs, seen: true };
  }
  const at = (name: string): number | null => run.clocks.find((clock) => clock.name === name)?.atMs ?? null;
  const [fault, verified] = [at('fault'), at('verified')];
  return fault === null || verified === null ? null : { fromMs: fault, toMs: verified, seen: false };
}

/** A step that has not ended goes on until the report was made. */
function domainOf(run: RunReport, steps: readonly StepReport[], outage: Span | null, nowMs: number): Span {
  const moments = [
    ...run.clocks.flatMap((clock) => clock.atMs ?? []),
    ...steps.flatMap((step) => [step.startedAtMs ?? [], step.endedAtMs ?? run.endedAtMs ?? nowMs].flat()),
    ...(outage === null ? [] : [outage.fromMs, outage.toMs]),
  ];
  const fromMs = Math.min(...moments);
  return { fromMs, toMs: Math.max(...moments, fromMs + 1) };
}

/** A step that waits for a person does nothing meanwhile. */
function busySpans(step: StepReport): Span[] {
  const { startedAtMs, endedAtMs, asking } = step;
  if (startedAtMs === null) return [];
  const spans: Span[] = [];
  let fromMs = startedAtMs;
  for (const wait of asking) {
    spans.push({ fromMs, toMs: wait.fromMs });
    fromMs = wait.toMs;
  }
  return [...spans, { fromMs, toMs: Math.max(fromMs, endedAtMs ?? fromMs) }];
}

function clockFlags(run: RunReport, axis: TimeAxis): Flag[] {
  return run.clocks.flatMap(({ name, atMs }): Flag[] =>
    atMs === null
      ? []
      : [{ x: axis.x(atMs), text: `${clockId(name)} ${name}`, kind: name === 'fault' ? 'fault' : 'clock' }],
  );
}

function outageBand(axis: TimeAxis, outage: Span, top: number, bottom: number): Markup {
  const x = axis.x(outage.fromMs);
  return html`<rect class="outage" x="${x}" y="${top}" width="${axis.x(outage.toMs) - x}" height="${bottom - top}" />`;
}

function outageLane(axis: TimeAxis, outage: Span & { seen: boolean }, top: number): Markup {
  const x = axis.x(outage.fromMs);
  const end = axis.x(outage.toMs);
  const height = barHeight / 2;
  const y = top + (rowHeight - height) / 2;
  const name = outage.seen ? 'writes of clients' : 'service';
  return html`<text class="lane strong" x="0" y="${top + 17}">${name}</text>
    <rect class="bar none" x="${x}" y="${y}" width="${Math.max(shortestBar, end - x)}" height="${height}" rx="2" />
    <text class="amount fault" x="${end + 6}" y="${top + 17}">none for ${formatMs(outage.toMs - outage.fromMs)}</text>`;
}

function cutBand(cut: TimeAxis['cuts'][number], top: number, bottom: number): Markup {
  const middle = (cut.x0 + cut.x1) / 2;
  return html`<rect class="cut" x="${cut.x0}" y="${top}" width="${cut.x1 - cut.x0}" height="${bottom - top}" />
    <text class="cut-name" x="${middle}" y="${bottom + 15}" text-anchor="middle"
      >cut ${formatMs(cut.toMs - cut.fromMs)}</text
    >
    <path class="cut-edge" d="M${cut.x0} ${top}V${bottom}M${cut.x1} ${top}V${bottom}" />`;
}

function tickLine({ seconds, x }: { seconds: number; x: number }, top: number, bottom: number): Markup {
  return html`<line class="grid" x1="${x}" x2="${x}" y1="${top}" y2="${bottom}" />
    <text class="tick" x="${x}" y="${bottom + 15}" text-anchor="middle">${tickText(seconds)}</text>`;
}

/** A step with the span in which it is drawn: one that has not ended goes on to the end of the picture. */
interface DrawnStep extends StepReport {
  span: Span;
}

function untilEnd(step: StepReport, domain: Span): DrawnStep {
  return { ...step, span: { fromMs: step.startedAtMs ?? domain.toMs, toMs: step.endedAtMs ?? domain.toMs } };
}

function lane(report: Report, step: DrawnStep, axis: TimeAxis, y: number): Markup {
  const x = axis.x(step.span.fromMs);
  const barWidth = Math.max(shortestBar, axis.x(step.span.toMs) - x);
  const barY = y + (rowHeight - barHeight) / 2;
  const place = hasFailed(step) ? 'failed' : placeClass(report, step.site);
  const said = `${step.id} at ${step.site ?? 'control'}: ${step.status}`;
  return html`<text class="lane" x="0" y="${y + 17}">${laneName(step)}</text>
    <rect class="bar ${place}" x="${x}" y="${barY}" width="${barWidth}" height="${barHeight}" rx="2"
      ><title>${said}</title></rect
    >
    ${step.asking.map((wait) => askingBar(axis, wait, barY))}
    <text class="amount" x="${x + barWidth + 6}" y="${y + 17}">${amountOf(step)}</text>`;
}

function laneName({ verb, resource, id }: StepReport): string {
  const name = resource === '' ? id : `${verb} ${resource}`;
  return name.length > 27 ? `${name.slice(0, 26)}…` : name;
}

function hasFailed({ status }: StepReport): boolean {
  return status === 'failed' || status === 'undo-failed';
}

function askingBar(axis: TimeAxis, wait: Span, y: number): Markup {
  const x = axis.x(wait.fromMs);
  return html`<rect
    class="bar asking"
    x="${x}"
    y="${y}"
    width="${axis.x(wait.toMs) - x}"
    height="${barHeight}"
    rx="2"
  />`;
}

function amountOf(step: StepReport): string {
  const waited = step.asking.reduce((total, wait) => total + wait.toMs - wait.fromMs, 0);
  const parts = [step.durationMs === null ? step.status : formatMs(step.durationMs)];
  if (hasFailed(step)) parts.push('failed');
  else if (step.attempts > 1) parts.push(`${step.attempts} tries`);
  if (waited > 0 && step.status !== 'asking') parts.push('waited for a person');
  return parts.join(' · ');
}
