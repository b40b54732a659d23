import { parse, stringify } from 'yaml';
import { copyOrderOf } from '../../runbooks/copies-orders.ts';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import type { CopyMode, CopyOrder } from '../../workflows/engine/copying.ts';
import { testCatalogue } from './catalogue.ts';
import { estateText } from './estates.ts';

/** An estate with these copies. */
export function estateOf(copies: Record<string, unknown>): Estate {
  const file = { ...(parse(estateText({})) as object), copies };
  return parseEstate(stringify(file), 'muster.yaml', testCatalogue);
}

export const [from, to] = ['s3://receipts?credentials=SRC', 'env:RECEIPTS_COPY'];

/** The order of a copy between the two. */
export function orderOf(copy: Record<string, unknown> = {}, mode: CopyMode = 'do'): CopyOrder {
  return copyOrderOf(estateOf({ one: { from, to, ...copy } }), 'one', { mode, startedBy: 'Li' });
}
