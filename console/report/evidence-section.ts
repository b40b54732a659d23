import { count, formatMs, type MomentFormat } from './format.ts';
import { html, type Content, type Markup } from './markup.ts';
import { mark, type Mood } from './marks.ts';
import type { LostRow, Report, RunReport } from './model.ts';

/** What was lost, row by row, and whether the clients' count agrees. */
export function lossSection(report: Report): Content {
  const { loss, truth } = report;
  const moved = report.runs.some((run) => run.rpo !== null);
  if (!moved && loss.conflictSets.length === 0) return null;
  const faultMs =
    report.runs.flatMap((run) => run.clocks.filter((c) => c.name === 'fault').flatMap((c) => c.atMs ?? []))[0] ?? null;
  return html`<section>
    <h2>What was lost</h2>
    <p class="lead">${lossLead(report)}</p>
    ${truth === null ? null : checks(truth.checks.map(({ agrees, sentence }) => ({ mood: agrees ? 'good' : 'bad', text: sentence })))}
    ${
      loss.notListed.length === 0
        ? null
        : html`<h3 class="bad">Lost and in no conflict set</h3>
            ${rowList(loss.notListed, faultMs)}`
    }
    ${loss.objects.map(objectLoss)}
    ${loss.conflictSets.map(
      (set) =>
        html`<h3>
            Conflict set of ${set.resource}: ${count(set.rows.length, set.of === 'rows' ? 'row' : 'object')} that only
            the old ${set.of === 'rows' ? 'primary' : 'site'} had
          </h3>
          <p class="soft">
            ${set.file === null ? 'Not written to a file.' : html`<span class="mono">${set.file}</span>`}
            ${set.sha256 === null ? null : html`<br /><span class="mono">sha256 ${set.sha256}</span>`}
          </p>
          ${set.rows.length === 0 ? null : rowList(set.rows, faultMs)}`,
    )}
    ${afterPromotion(report, faultMs)}
  </section>`;
}

/** What is known of a bucket's loss; once the old site is back, its conflict set stands below. */
function objectLoss({
  resource,
  namedAtFreeze,
  unseenAtFreeze,
  keys,
  listed,
}: Report['loss']['objects'][number]): Content {
  if (listed !== null || namedAtFreeze === null || (namedAtFreeze === 0 && unseenAtFreeze !== true)) return null;
  const unseen =
    unseenAtFreeze === true
      ? 'What was written in the last moment nobody had seen: its names are known when the old site is back.'
      : '';
  return html`<h3>Lost of ${resource}: ${count(namedAtFreeze, 'object')} named by the ledger of copies</h3>
    <p class="soft">${unseen}</p>
    ${
      keys.length === 0
        ? null
        : html`<div class="keys mono" tabindex="0">
            <ol>
              ${keys.map((key) => html`<li>${key}</li>`)}
            </ol>
          </div>`
    }`;
}

function lossLead({ loss, truth }: Report): string {
  if (loss.conflictSets.length === 0)
    return loss.countedRows === 0
      ? 'Every write that clients were told is kept was found at the new writer.'
      : 'The old primary has not given up its rows yet: which ones only it has is not known before it is back.';
  if (truth === null)
    return 'These rows were saved from the old primary before it was rewound. Nobody counted beside it.';
  return 'Clients kept the id of every write that was acknowledged to them. Held against the database and the rows saved from the old primary:';
}

function afterPromotion({ loss }: Report, faultMs: number | null): Content {
  const after = loss.afterPromotion;
  if (after === null) return null;
  const source = after.method === 'clients' ? 'as clients counted' : 'by the times in the conflict set';
  if (after.rows.length === 0)
    return html`<h3>Acknowledged by the old primary after the promotion: none</h3>
      <p class="soft">${source}</p>`;
  return html`<h3 class="bad">
      Acknowledged by the old primary after the promotion: ${count(after.rows.length, 'row')}, ${source}
    </h3>
    ${rowList(after.rows, faultMs)}`;
}

function rowList(rows: readonly LostRow[], faultMs: number | null): Markup {
  const several = rows.some((row) => row.table !== rows[0]?.table);
  const items = rows.map(
    ({ table, key, atMs }) => html`<li>${several ? `${table} ` : ''}${key}<span>${offset(atMs, faultMs)}</span></li>`,
  );
  return html`<div class="keys mono" tabindex="0">
    <ol>
      ${items}
    </ol>
  </div>`;
}

/** When a row was written, against the fault. */
function offset(atMs: number | null, faultMs: number | null): string {
  if (atMs === null || faultMs === null) return '';
  return atMs < faultMs ? `−${formatMs(faultMs - atMs)}` : `+${formatMs(atMs - faultMs)}`;
}

function checks(items: readonly { mood: Mood; text: Content }[]): Markup {
  return html`<ul class="checks">
    ${items.map(({ mood, text }) => html`<li>${mark(mood)}<span>${text}</span></li>`)}
  </ul>`;
}

/** People, findings, epochs, the level, and the hashes by which all this can be checked. */
export function evidenceSection(report: Report, moment: MomentFormat): Markup {
  return html`<section>
    <h2>Evidence</h2>
    <p class="lead">
      Every event carries the hash of the one before it. The head below stands for the plan, the estate, every event and
      the end of its run: whoever has it can find any later change.
    </p>
    ${checks(report.runs.map((run) => ({ mood: run.chain.ok ? 'good' : 'bad', text: chainText(run) })))}
    ${decisions(report, moment)} ${findings(report, moment)} ${epochs(report, moment)} ${level(report)}
    ${sources(report)}
  </section>`;
}

function chainText(run: RunReport): Content {
  const { chain } = run;
  if (!chain.ok) return html`<b>${run.runId}</b>: event ${chain.firstBadSeq}: ${chain.why}.`;
  const sealed = chain.sealed ? 'sealed' : 'not sealed yet, the run has not ended';
  return html`<b>${run.runId}</b>: ${count(chain.events, 'event')}, whole, ${sealed}.<br /><span class="mono"
      >${chain.head}</span
    >`;
}

function decisions(report: Report, moment: MomentFormat): Content {
  const rows = report.runs.flatMap((run) => [
    ...run.steps.flatMap((step) =>
      step.decisions.map((decision) => ({ ...decision, where: `${run.kind}, ${step.id}` })),
    ),
    ...run.orders.map((order) => ({ ...order, where: run.kind })),
  ]);
  if (rows.length === 0) return null;
  return html`<h3>Decisions</h3>
    <table class="fitted">
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              <td class="nowrap">${moment.time(row.atMs)}</td>
              <td class="nowrap">${row.where}</td>
              <td>${row.what} by <b>${row.by}</b><span class="note">${row.why}</span></td>
            </tr>`,
        )}
      </tbody>
    </table>`;
}

function findings(report: Report, moment: MomentFormat): Content {
  const rows = report.runs.flatMap((run) => run.findings.map((finding) => ({ ...finding, kind: run.kind })));
  if (rows.length === 0) return html`<h3>Findings: none</h3>`;
  const moods: Record<string, Mood> = { critical: 'bad', warning: 'unsure', note: 'good' };
  return html`<h3>Findings</h3>
    <table class="fitted">
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              <td class="nowrap">${moment.time(row.atMs)}</td>
              <td class="nowrap">
                ${row.severity === 'note' ? null : mark(moods[row.severity] ?? 'unsure')}${row.severity}
              </td>
              <td>${row.what}<span class="note">${row.kind}${row.stepId === null ? '' : `, ${row.stepId}`}</span></td>
            </tr>`,
        )}
      </tbody>
    </table>`;
}

function epochs(report: Report, moment: MomentFormat): Content {
  if (report.epochs.length === 0) return null;
  return html`<h3>Epochs: who may write</h3>
    <table class="fitted">
      <tbody>
        ${report.epochs.map(
          (row) =>
            html`<tr>
              <td class="nowrap">${moment.full(row.takenAtMs)}</td>
              <td class="nowrap">epoch ${row.epoch}</td>
              <td>${row.holder}<span class="note">${row.runId ?? 'before these runs'}</span></td>
            </tr>`,
        )}
      </tbody>
    </table>`;
}

function level({ level: claim }: Report): Content {
  if (claim === null) return null;
  return html`<h3>
      Level claimed: ${claim.edition}, level
      ${claim.claimed}${claim.name === null ? '' : `, ${claim.name.toLowerCase()}`}
    </h3>
    <p>${claim.sentence}</p>
    <p class="soft">${claim.standing} One run proves no level.</p>`;
}

function sources(report: Report): Markup {
  return html`<h3>Made from</h3>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Run</th>
            <th>Plan</th>
            <th>Estate</th>
            <th>Software</th>
          </tr>
        </thead>
        <tbody>
          ${report.runs.map(
            (run) =>
              html`<tr>
                <td class="mono">${run.runId}</td>
                <td class="mono" title="${run.planHash}">${run.planHash.slice(0, 16)}</td>
                <td class="mono" title="${run.estateHash}">${run.estateHash.slice(0, 16)}</td>
                <td class="nowrap">${run.software}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}
