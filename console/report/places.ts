import { html, type Markup } from './markup.ts';
import type { Report } from './model.ts';

/** Class that gives a site its colour, the same in every picture of a report. */
export function placeClass(report: Pick<Report, 'from' | 'to'>, site: string | null): string {
  if (site === null) return 'control';
  if (site === report.from) return 'site-a';
  return site === report.to ? 'site-b' : 'site-c';
}

export function legend(entries: readonly { name: string; kind: string }[]): Markup {
  return html`<ul class="legend">
    ${entries.map(({ name, kind }) => html`<li><span class="swatch ${kind}"></span>${name}</li>`)}
  </ul>`;
}
