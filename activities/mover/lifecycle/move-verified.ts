import { compareSides } from '../compare/compare.ts';
import { type Entry } from '../compare/pages.ts';
import { type Joined } from '../compare/join.ts';
import { orNone } from '../copy/landing.ts';
import { type LedgerRow, type ReplicationLedger } from '../ledger/ledger.ts';
import { compileFilter } from '../run/filter.ts';
import { guardDeletes } from '../run/delete-guard.ts';
import { type PassInput, type PassResult } from '../run/pass.ts';
import { runPass } from '../run/run-pass.ts';
import { fullKey, type Side, sideName } from '../side.ts';
import { isTagged } from './tagged.ts';

export interface MoveInput extends PassInput {
  /** What was proved at the target is what may go at the source. */
  ledger: ReplicationLedger;
  /** How much of the source may go in one run, 0 to 1. Default all of it: the filter says what is meant. */
  removeShare?: number;
}

/** Removals at once. */
const wide = 16;

export type MoveResult =
  /** `kept`: proved, but changed since; `left`: meant, and still at the source for whatever reason. */
  { kind: 'moved'; copied: number; removed: number; kept: number; left: number } | (PassResult & { kind: 'stopped' });

/**
 * Copies, proves, and only then deletes at the source: each object is looked at on both sides right before, and must be
 * the one that was proved. An object that was not proved, or that changed since, stays.
 */
export async function moveVerified(input: MoveInput): Promise<MoveResult> {
  const pass = await runPass(input).finished;
  if (pass.kind === 'stopped') return pass;
  const chosen: string[] = [];
  let present = 0;
  const filter = compileFilter(input.rule.filter, Date.now());
  const { source, target } = input;
  await compareSides({ source, target }, async (batch, finishBatch) => {
    const rows = await input.ledger.lookUp(batch.map(({ key }) => ({ key, version: '' })));
    batch.forEach((joined, i) => {
      if (joined.source !== undefined) present += 1;
      if (mayGo(joined, rows[i]) && filter.named(joined.key) && filter.sized(joined.source!)) chosen.push(joined.key);
    });
    finishBatch();
  }).finished;
  guardDeletes({ deletes: chosen.length, present }, input.removeShare ?? 1, sideName(source));
  let removed = 0;
  let next = 0;
  const remover = async (): Promise<void> => {
    for (let i = next++; i < chosen.length; i = next++) {
      input.signal?.throwIfAborted();
      if (await removeProved(input, chosen[i]!)) removed += 1;
    }
  };
  await Promise.all(Array.from({ length: wide }, remover));
  const kept = chosen.length - removed;
  const { failed, archived, changing, kept: notOverwritten } = pass.counts;
  return {
    kind: 'moved',
    copied: pass.counts.copied,
    removed,
    kept,
    left: kept + failed + archived + notOverwritten + changing,
  };
}

function mayGo({ source, target }: Joined<Entry>, row: LedgerRow | undefined): boolean {
  if (source === undefined || target === undefined || row?.state !== 'verified') return false;
  return row.sourceEtag === source.etag && row.targetEtag === target.etag && source.sizeBytes === target.sizeBytes;
}

async function removeProved({ source, target, ledger, rule }: MoveInput, key: string): Promise<boolean> {
  if (rule.mode !== 'do') return false;
  const [row] = await ledger.lookUp([{ key, version: '' }]);
  const head = (side: Side) => orNone('OBJECT_UNKNOWN', side.client.head(fullKey(side, key)));
  const [here, there] = await Promise.all([head(source), head(target)]);
  if (here === undefined || here.etag !== row?.sourceEtag || there?.etag !== row.targetEtag) return false;
  if (there.sizeBytes !== here.sizeBytes) return false;
  // What both had before the rule came is proved, too, whatever its tags.
  const { tags } = rule.filter;
  if (tags !== undefined && !(await isTagged(source, key, tags))) return false;
  await source.client.delete(fullKey(source, key));
  return true;
}
