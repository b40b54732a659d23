import { clockMeanings } from './clocks.ts';
import { formatFigure, formatMs, formatSeconds, type MomentFormat } from './format.ts';
import { html, type Content, type Markup } from './markup.ts';
import { mark } from './marks.ts';
import type { ClockReport, Report, RpoReport, RtoReport, RunReport, StepReport } from './model.ts';
import { legend, placeClass } from './places.ts';
import { runPicture } from './run-picture.ts';

/** One run: what happened when, the clocks, the figures, the steps. */
export function runSection(report: Report, run: RunReport, moment: MomentFormat): Markup {
  const picture = runPicture(report, run);
  return html`<section class="run">
    <h2>${title(run)}</h2>
    <p class="facts">${facts(run).map((fact) => html`<span>${fact}</span>`)}</p>
    ${run.reason === null ? null : html`<p class="banner">${run.reason}</p>`}
    ${
      picture === null
        ? null
        : html`<figure>
            <div class="scroll">${picture}</div>
            ${pictureLegend(report, run)}
          </figure>`
    }
    <div class="pair">
      <div>
        <h3>Clocks</h3>
        ${clockTable(run.clocks, moment, run.runId === report.runs[0]?.runId)}
      </div>
      <div>
        ${run.rto === null ? null : rtoTable(run.rto)} ${run.rpo === null ? null : rpoTable(run.rpo)}
        ${figureTable(run)}
      </div>
    </div>
    <h3>Steps</h3>
    <div class="scroll">${stepTable(run)}</div>
  </section>`;
}

function title(run: RunReport): string {
  const kind = run.kind[0]?.toUpperCase() + run.kind.slice(1);
  if (run.kind === 'reprotect') return `${kind}: ${run.to} rejoins behind ${run.from}`;
  if (run.kind === 'drill') return `${kind}: a copy of ${run.from} at ${run.to}`;
  return `${kind} from ${run.from} to ${run.to}`;
}

function facts(run: RunReport): string[] {
  const changed = run.mode === run.plannedMode ? '' : `, planned as ${run.plannedMode}`;
  const gap = run.writeGap;
  return [
    `${run.mode}${changed}`,
    run.outcome === null ? 'still running' : `ended ${run.outcome}`,
    ...(run.endedAtMs === null ? [] : [`took ${formatMs(run.endedAtMs - run.startedAtMs)}`]),
    `epoch ${run.epoch}`,
    ...(run.drill ? ['drill'] : []),
    ...(gap === null
      ? []
      : [
          gap.seconds === null
            ? 'clients never wrote again'
            : `clients could not write for ${formatSeconds(gap.seconds)}`,
        ]),
  ];
}

function pictureLegend(report: Report, run: RunReport): Markup {
  const started = run.steps.filter((step) => step.startedAtMs !== null && step.status !== 'skipped');
  const sites = [...new Set(started.map((step) => step.site))];
  const entries = sites.map((site) => ({
    name: site === null ? 'control plane' : `at ${site}`,
    kind: placeClass(report, site),
  }));
  if (started.some((step) => step.asking.length > 0)) entries.push({ name: 'waiting for a person', kind: 'asking' });
  if (started.some((step) => step.status === 'failed')) entries.push({ name: 'failed', kind: 'failed' });
  const skipped = run.steps.filter((step) => step.status === 'skipped').length;
  if (skipped > 0) entries.push({ name: `${skipped} skipped, see the steps`, kind: 'absent' });
  return legend(entries);
}

/** In order of time. What each clock means is said once, at the first run. */
function clockTable(clocks: readonly ClockReport[], moment: MomentFormat, explained: boolean): Markup {
  const stamped = clocks.filter((clock) => clock.atMs !== null).toSorted((a, b) => (a.atMs ?? 0) - (b.atMs ?? 0));
  return html`<table class="clocks">
    <thead>
      <tr>
        <th></th>
        <th>${moment.zone}</th>
        <th class="number">since ${stamped[0]?.id ?? 't0'}</th>
        <th class="number">since the last</th>
      </tr>
    </thead>
    <tbody>
      ${stamped.map((clock) => clockRow(clock, moment, explained))}
    </tbody>
  </table>`;
}

function clockRow(clock: ClockReport, moment: MomentFormat, explained: boolean): Markup {
  const { id, name, atMs, sinceFirstMs, sincePreviousMs } = clock;
  return html`<tr>
    <td><b>${id}</b> ${name}${explained ? html`<span class="note">${clockMeanings[name]}</span>` : null}</td>
    <td class="nowrap">${moment.time(atMs ?? 0)}</td>
    <td class="number">${formatMs(sinceFirstMs ?? 0)}</td>
    <td class="number soft">${sincePreviousMs === null ? '' : `+${formatMs(sincePreviousMs)}`}</td>
  </tr>`;
}

function rtoTable(rto: RtoReport): Markup {
  const rows = [
    ['business', 'Business', 't7 − t0, from the fault'],
    ['declared', 'Declared', 't7 − t2, from the declaration'],
    ['technical', 'Technical', 't7 − t3, from the start of the run'],
  ] as const;
  return html`<h3>Recovery time</h3>
    <table>
      <tbody>
        ${rows.map(([key, name, note]) => {
          const judged = rto.basis === key;
          const { seconds, why } = rto[key];
          return html`<tr class="${judged ? 'judged' : seconds === null ? 'absent' : ''}">
            <td>
              ${name}${judged ? html`<span class="tag">judged</span>` : null}<span class="note">${why ?? note}</span>
            </td>
            <td class="number">${seconds === null ? 'not known' : formatSeconds(seconds)}</td>
          </tr>`;
        })}
        <tr>
          <td>Waiting for people<span class="note">not taken off the times above</span></td>
          <td class="number">${formatSeconds(rto.waitedForPeopleSeconds)}</td>
        </tr>
        <tr>
          <td>Objective</td>
          <td class="number">${formatSeconds(rto.targetSeconds)}</td>
        </tr>
      </tbody>
    </table>`;
}

function rpoTable(rpo: RpoReport): Markup {
  return html`<h3>Data loss</h3>
    <table>
      <tbody>
        ${rpo.resources.flatMap(rpoRows)}
        ${rpo.unmeasured.map((name) => figureRow(name, 'copied nowhere: what was written stayed where it was', 'not measured'))}
        ${rpo.why === null ? null : figureRow('Service as a whole', rpo.why, null)}
        <tr>
          <td>Objective</td>
          <td class="number">${formatSeconds(rpo.targetSeconds)}</td>
        </tr>
      </tbody>
    </table>`;
}

function rpoRows({ resource, seconds, methods }: RpoReport['resources'][number]): Markup[] {
  if (methods.length === 0) return [figureRow(resource, 'no method gave a figure', null)];
  const largest = methods.find((method) => method.seconds !== null && method.seconds === seconds);
  return methods.map((method) => {
    const text = method.seconds === null ? null : formatSeconds(method.seconds);
    const tag = method === largest && methods.length > 1 ? 'largest' : null;
    return figureRow(`${resource}, by ${method.method}`, method.confidence, text, tag);
  });
}

function figureRow(name: string, note: string, value: string | null, tag: string | null = null): Markup {
  return html`<tr class="${tag === null ? '' : 'judged'}">
    <td>${name}${tag === null ? null : html`<span class="tag">${tag}</span>`}<span class="note">${note}</span></td>
    <td class="number">${value ?? html`<span class="unsure">unknown</span>`}</td>
  </tr>`;
}

function figureTable(run: RunReport): Content {
  if (run.figures.length === 0) return null;
  return html`<h3>Other figures</h3>
    <table>
      <tbody>
        ${run.figures.map(({ name, resource, value, unit, method, confidence }) =>
          figureRow(
            `${figureName(name)}${resource === '' ? '' : `, ${resource}`}`,
            `by ${method}, ${confidence}`,
            value === null ? null : formatFigure(value, unit),
          ),
        )}
      </tbody>
    </table>`;
}

/** `lagSeconds` is a name for programs; the unit stands at the value. */
function figureName(name: string): string {
  return name.replace(/(Seconds|Ms|Bytes)$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function stepTable(run: RunReport): Markup {
  return html`<table>
    <thead>
      <tr>
        <th>Step</th>
        <th>Where</th>
        <th>End</th>
        <th class="number">Tries</th>
        <th class="number">Time</th>
        <th>Read back from the world, and decided by people</th>
      </tr>
    </thead>
    <tbody>
      ${run.steps.map(stepRow)}
    </tbody>
  </table>`;
}

function stepRow(step: StepReport): Markup {
  const quiet = step.status === 'skipped' || step.status === 'pending';
  const failed = step.status === 'failed' || step.status === 'undo-failed';
  return html`<tr class="${quiet ? 'absent' : ''}">
    <td class="nowrap">
      ${step.id}${step.effect === 'irreversible' ? html`<span class="note">no way back from here</span>` : null}
    </td>
    <td class="nowrap">${step.site ?? 'control'}</td>
    <td class="nowrap">${failed ? html`${mark('bad')}<span class="bad">${step.status}</span>` : step.status}</td>
    <td class="number">${step.attempts === 0 ? '' : step.attempts}</td>
    <td class="number">${step.durationMs === null ? '' : formatMs(step.durationMs)}</td>
    <td class="evidence">
      ${step.evidence.map(({ name, value }, at) => html`${at === 0 ? '' : ', '}${name} <b>${value}</b>`)}
      ${remarks(step)}
    </td>
  </tr>`;
}

function remarks(step: StepReport): Content[] {
  const failure =
    step.failure === null ? null : html`<span class="note bad">${step.failure.code}: ${step.failure.message}</span>`;
  const note = step.note === null || step.status === 'done' ? null : html`<span class="note">${step.note}</span>`;
  return [
    failure,
    note,
    ...step.decisions.map(({ what, by, why }) => html`<span class="note">${what} by <b>${by}</b>: ${why}</span>`),
  ];
}
