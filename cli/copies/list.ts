import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, sayJson } from '../output.ts';
import { formatTable } from '../format.ts';
import { readShown, type CopyShown } from './status.ts';

/** `muster copies list`: what the estate copies, and how it stands. */
export async function listCopies(context: Context, flags: { json?: boolean }): Promise<ExitCode> {
  const copies = Object.values(context.estate().copies);
  const shown = await Promise.all(copies.map(({ name }) => readShown(context, name)));
  if (flags.json === true) sayJson(copies.map((copy, i) => ({ ...copy, state: shown[i] })));
  else if (copies.length === 0) say('the estate has no copies: add `copies` to muster.yaml');
  else {
    const rows = copies.map(({ name, from, to, legs, every, at }, i) => [
      ...[
        name,
        from,
        to ?? '(within it)',
        legs.length > 1 || legs[0]?.kind === 'tier' ? legs.map((leg) => leg.name).join(', ') : '',
      ],
      ...[every === null ? 'by hand' : `${every}${at === null ? '' : ` at ${at}`}`, stateText(shown[i]!)],
    ]);
    const titles = ['copy', 'from', 'to', 'rules', 'when', 'now'];
    say(
      formatTable(
        titles.map((title) => ({ title })),
        rows,
      ),
    );
  }
  return exitCodes.met;
}

function stateText({ runs, now, last }: CopyShown): string {
  if (runs === 'unknown') return 'unknown';
  if (runs === 'yes') return now?.phase ?? 'under way';
  return last === null ? '' : (last.result?.verdict ?? last.how.toLowerCase());
}
