import { clientsPicture } from './clients-picture.ts';
import { evidenceSection, lossSection } from './evidence-section.ts';
import { formatInteger, momentFormat } from './format.ts';
import { headSection, masthead } from './head-section.ts';
import { html, render, trusted, type Content } from './markup.ts';
import type { Report } from './model.ts';
import { legend, placeClass } from './places.ts';
import { runSection } from './run-section.ts';
import { styleSheet } from './style.ts';

export interface HtmlOptions {
  /** IANA name, e.g. `Asia/Shanghai`; UTC otherwise. */
  timeZone?: string;
}

/**
 * The report as one page that needs nothing else: no script, no font, no picture from anywhere. All text in it is
 * escaped, whatever it holds.
 */
export function renderHtml(report: Report, { timeZone = 'UTC' }: HtmlOptions = {}): string {
  const moment = momentFormat(timeZone);
  const title = `${report.service}: ${report.verdict}, ${moment.full(report.startedAtMs)}`;
  return render(
    html`${trusted('<!doctype html>')}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta
            http-equiv="Content-Security-Policy"
            content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
          />
          <meta name="generator" content="${report.software}" />
          <link rel="icon" href="data:," />
          <title>${title}</title>
          <style>
            ${trusted(styleSheet)}
          </style>
        </head>
        <body>
          ${masthead(report, moment)}
          <main>
            ${headSection(report)} ${clientsSection(report)}
            ${report.runs.map((run) => runSection(report, run, moment))} ${lossSection(report)}
            ${evidenceSection(report, moment)}
          </main>
          <footer>
            <p>
              Made ${moment.full(report.generatedAtMs)} ${moment.zone} by ${report.software} from its ledger, report
              format ${report.schemaVersion}. Times are of the one clock of each run.
            </p>
          </footer>
        </body>
      </html>`,
  ).trimStart();
}

function clientsSection(report: Report): Content {
  const { clients } = report;
  if (clients === null) return null;
  const entries = clients.sites.map((site) => ({ name: `acknowledged by ${site}`, kind: placeClass(report, site) }));
  return html`<section>
    <h2>As the clients saw it</h2>
    <p class="lead">
      Writes per second: ${formatInteger(clients.acked)} were acknowledged, ${formatInteger(clients.failed)} failed or
      were left without an answer.
    </p>
    <figure>
      <div class="scroll">${clientsPicture(report, clients)}</div>
      ${legend([...entries, { name: 'failed', kind: 'failed' }])}
    </figure>
  </section>`;
}
