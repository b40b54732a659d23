import { formatSeconds, formatInteger, type MomentFormat } from './format.ts';
import { html, type Content, type Markup } from './markup.ts';
import { mark, moodOfObjective, moodOfVerdict, type Mood } from './marks.ts';
import type { ObjectiveReport, Report, RunReport } from './model.ts';

const verdictWords: Record<Report['verdict'], string> = {
  passed: 'Passed',
  failed: 'Failed',
  unproven: 'Not proven',
  running: 'Still running',
};

const kindWords: Record<Report['kind'], string> = {
  failover: 'Failover',
  failback: 'Failback',
  reprotect: 'Reprotect',
  drill: 'Drill',
  'game-day': 'Game day',
};

export function masthead(report: Report, moment: MomentFormat): Markup {
  return html`<header class="masthead">
    <span><b>Muster</b> recovery report</span>
    <span>${moment.full(report.startedAtMs)} ${moment.zone}</span>
  </header>`;
}

/** The verdict and what it stands on: the only part that many will read. */
export function headSection(report: Report): Markup {
  const mood = moodOfVerdict[report.verdict];
  const kicker = [kindWords[report.kind], report.scenario, `${report.service}, ${report.from} to ${report.to}`];
  return html`<section class="verdict">
    <p class="kicker">${kicker.filter((part) => part !== null).join(' · ')}</p>
    <h1 class="${mood}">${mark(mood, 'big')}${verdictWords[report.verdict]}</h1>
    <p class="headline">${report.headline}</p>
    ${banners(report)}
    <div class="cards">${cards(report)}</div>
  </section>`;
}

function banners(report: Report): Markup[] {
  const disagreements = report.truth?.checks.filter((check) => !check.agrees) ?? [];
  const broken = report.runs.filter((run) => !run.chain.ok);
  return [
    ...broken.map((run) => html`<p class="banner">The record of ${run.runId} does not verify: ${run.chain.why}.</p>`),
    ...disagreements.map((check) => html`<p class="banner">What clients counted disagrees. ${check.sentence}</p>`),
    ...(report.protection === 'unprotected'
      ? [
          html`<p class="banner unsure">
            Not protected yet: nothing follows the new writer, so a second failure would lose everything since.
          </p>`,
        ]
      : []),
  ];
}

function cards(report: Report): Content[] {
  const runOf = (objective: ObjectiveReport) => report.runs.find((run) => run.runId === objective.runId);
  const [first, ...others] = report.runs.flatMap((run) => {
    const own = report.objectives.filter((objective) => objective.runId === run.runId);
    return own.length === 0 ? [] : [own.map((objective) => objectiveCard(objective, runOf(objective)))];
  });
  return [...(first ?? []), lossCard(report), ...others.flat(), protectionCard(report)];
}

function objectiveCard(objective: ObjectiveReport, run: RunReport | undefined): Markup {
  const { actualSeconds, targetSeconds, verdict, confidence } = objective;
  const mood = moodOfObjective[verdict];
  const word = { met: 'Met', missed: 'Missed', unknown: 'Unknown' }[verdict];
  const missedBy =
    verdict === 'missed' && actualSeconds !== null ? ` by ${formatSeconds(actualSeconds - targetSeconds)}` : '';
  const gap = objective.id === 'rto' && run?.rto?.basis === 'technical' ? (run.writeGap?.seconds ?? null) : null;
  return html`<div class="card">
    <p class="label">${labelOf(objective, run)} <span class="of">${objective.id.toUpperCase()}, ${run?.kind}</span></p>
    ${actualSeconds === null ? html`<p class="value word unsure">Not known</p>` : value(formatSeconds(actualSeconds))}
    ${gauge(actualSeconds, targetSeconds, mood)}
    <p class="judged">
      ${mark(mood)}<span class="${mood}">${word}${missedBy}</span>, objective
      ${formatSeconds(targetSeconds)}${confidence === 'unknown' ? '' : `, ${confidence}`}${gap === null ? '' : `; clients could not write for ${formatSeconds(gap)}`}
    </p>
  </div>`;
}

function labelOf(objective: ObjectiveReport, run: RunReport | undefined): string {
  if (objective.id === 'rpo') return 'Data loss, at most';
  return run?.rto?.basis === 'technical' ? 'Time to move' : 'Time without service';
}

/** The number large, its unit small; `2 min 05 s` keeps both its units. */
function value(text: string): Markup {
  const parts = text.split(' ');
  const pieces = parts.map((part) => (/\d/.test(part) ? html`${part}` : html`<small>${part}</small> `));
  return html`<p class="value">${pieces}</p>`;
}

/** How much of the objective was used up; beyond it the objective becomes a tick on the bar. */
function gauge(actual: number | null, target: number, mood: Mood): Markup {
  if (actual === null) return html`<div class="gauge none"></div>`;
  const over = actual > target;
  const filled = over ? 100 : target === 0 ? 0 : (actual / target) * 100;
  const tick = over ? html`<b style="left:${(target / actual) * 100}%"></b>` : null;
  const fill = actual === 0 ? null : html`<i style="width:${filled}%"></i>`;
  return html`<div class="gauge ${mood} ${over ? 'over' : ''}">${fill}${tick}</div>`;
}

function lossCard({ loss }: Report): Content {
  const { countedRows, listedRows, notListed, acknowledgedRows } = loss;
  if (countedRows === null && listedRows === null) return null;
  const lost = countedRows ?? listedRows ?? 0;
  const mood: Mood = notListed.length > 0 ? 'bad' : 'good';
  const listed =
    notListed.length > 0
      ? html`<span class="bad">${formatInteger(notListed.length)} not listed</span>`
      : html`<span class="good">${lost === 0 ? 'None missing' : 'Every one listed'}</span>`;
  const bySet = countedRows === null;
  return html`<div class="card">
    <p class="label">
      ${bySet ? 'Rows only the old primary had' : html`Acknowledged writes lost <span class="of">of ${formatInteger(acknowledgedRows ?? 0)}</span>`}
    </p>
    ${value(formatInteger(lost))}
    <div class="gauge ${mood}">${share(lost, acknowledgedRows)}</div>
    <p class="judged">${mark(mood)}${listed}, ${bySet ? 'in the conflict set' : 'counted by clients'}</p>
  </div>`;
}

function share(lost: number, of: number | null): Content {
  return of === null || of === 0 || lost === 0 ? null : html`<i style="width:${(lost / of) * 100}%"></i>`;
}

function protectionCard(report: Report): Content {
  if (report.protection === 'unknown') return null;
  const last = report.runs.findLast((run) => run.outcome === 'protected' || run.outcome === 'unprotected');
  const isProtected = report.protection === 'protected';
  const mood: Mood = isProtected ? 'good' : 'unsure';
  const writer = last?.kind === 'reprotect' ? last.from : last?.to;
  const open = unprotectedSeconds(report);
  return html`<div class="card">
    <p class="label">Protection <span class="of">at the end</span></p>
    <p class="value word">${isProtected ? 'Protected' : 'Unprotected'}</p>
    <div class="gauge ${mood}">${isProtected ? html`<i style="width:100%"></i>` : null}</div>
    <p class="judged">
      ${mark(mood)}${isProtected ? `Replication runs from ${writer}` : `Nothing follows ${writer} yet`}${open === null ? '' : `; unprotected for ${formatSeconds(open)} after the failover`}
    </p>
  </div>`;
}

/** From the promotion of the first move (t5) to the first moment that replication ran again (t9). */
function unprotectedSeconds({ runs }: Report): number | null {
  const first = (name: string): number | null =>
    runs.flatMap((run) => run.clocks.flatMap((c) => (c.name === name && c.atMs !== null ? [c.atMs] : [])))[0] ?? null;
  const [promoted, again] = [first('promoted'), first('protected')];
  return promoted === null || again === null || again < promoted ? null : (again - promoted) / 1000;
}
