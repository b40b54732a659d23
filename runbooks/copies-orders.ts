import type { CopyMode, CopyOrder } from '../workflows/engine/copying.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { Estate } from './estate.ts';
import { chooseAmong } from './nearest.ts';

/** One for each copy and mode, so that Temporal itself refuses a second at the same time. */
export function copyWorkflowId(name: string, mode: CopyMode): string {
  return mode === 'do' ? `copy/${name}` : `copy-${mode}/${name}`;
}

/** A copy of the estate as an order. @throws MusterError CONFIG_INVALID naming the copies there are */
export function copyOrderOf(
  estate: Estate,
  name: string,
  { mode, startedBy }: Pick<CopyOrder, 'mode' | 'startedBy'>,
): CopyOrder {
  const copy = Object.hasOwn(estate.copies, name) ? estate.copies[name] : undefined;
  if (copy === undefined) {
    const known = Object.keys(estate.copies);
    const which = chooseAmong(name, known, 'add it below "copies" in the estate');
    throw new MusterError('CONFIG_INVALID', `no copy is named "${name}": ${which}`);
  }
  if (mode === 'compare' && copy.legs.some(({ kind }) => kind !== 'copy'))
    throw new MusterError(
      'CONFIG_INVALID',
      `copy ${name} has more to it than two sides being the same: ask for a plan`,
    );
  const { site: _site, every: _every, at: _at, ...order } = copy;
  return { ...order, mode, startedBy };
}
