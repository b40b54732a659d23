import { MusterError } from '../../../workflows/engine/errors.ts';
import { type ReplicationLedger } from '../ledger/ledger.ts';
import { type PassInput, type PassResult } from '../run/pass.ts';
import { runPass } from '../run/run-pass.ts';
import { removeVerified } from './remove-verified.ts';

export interface MoveInput extends PassInput {
  /** What was proved at the target is what may go at the source. */
  ledger: ReplicationLedger;
}

export type MoveResult =
  /** `kept`: proved, but changed since; `left`: meant, and still at the source for whatever reason. */
  { kind: 'moved'; copied: number; removed: number; kept: number; left: number } | (PassResult & { kind: 'stopped' });

/**
 * Copies, proves, and only then deletes at the source. An object that was not proved, or that changed since, stays.
 * @throws MusterError what ended the removal
 */
export async function moveVerified(input: MoveInput): Promise<MoveResult> {
  const pass = await runPass(input).finished;
  if (pass.kind === 'stopped') return pass;
  const { source, target, rule, ledger, signal } = input;
  const end = await removeVerified({ source, target, rule, ledger, ...(signal === undefined ? {} : { signal }) });
  signal?.throwIfAborted();
  if (end.kind === 'stopped') throw new MusterError(end.code, end.message);
  const { removed, kept } = end;
  const { failed, archived, changing, kept: notOverwritten, copied } = pass.counts;
  return { kind: 'moved', copied, removed, kept, left: kept + failed + archived + notOverwritten + changing };
}
