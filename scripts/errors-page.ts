import { errorCatalogue } from '../workflows/engine/errors.ts';
import { markdownTable } from './markdown-table.ts';

const introduction = `# Errors

Every failure Muster reports has one of these codes; the message beside it names the thing and the place. Commands print
the code, the message and what to do; a run keeps them with the step, and the report shows them.

A code that repeats is tried again by itself until the time of its step is used up. The others wait for a person at once.

This page is written from \`workflows/engine/errors.ts\` by \`node scripts/run.mjs scripts/errors-doc.ts --write\`; a test
keeps the two equal.
`;

/** The text of docs/errors.md: one row a code, in the order of the catalogue (by topic), aligned as Prettier wants it. */
export function errorsPage(): string {
  const rows = Object.entries(errorCatalogue).map(([code, { retryable, hint }]) => [
    `\`${code}\``,
    retryable ? 'yes' : 'no',
    hint.replaceAll('|', '\\|'),
  ]);
  return `${introduction}\n${markdownTable(['Code', 'Repeats', 'What to do'], rows)}\n`;
}
