import { MusterError } from '../../../workflows/engine/errors.ts';
import { turnLedger } from '../ledger/conflicts.ts';
import { type ReplicationLedger } from '../ledger/ledger.ts';
import { type ObjectEvent, type PassInput, type PassResult } from '../run/pass.ts';
import { runPass } from '../run/run-pass.ts';

export interface MigrationInput extends PassInput {
  ledger: ReplicationLedger;
}

/** Kept in the ledger, so that every command knows where a migration stands. */
export type MigrationPhase = 'begun' | 'caught-up' | 'cut-over' | 'rolled-back';

export async function migrationPhase(ledger: ReplicationLedger): Promise<MigrationPhase | undefined> {
  return (await ledger.getNote('migration')) as MigrationPhase | undefined;
}

/** Passes until one finds so little that the rest fits the cut-over, or so many were made. */
export async function catchUp(
  input: MigrationInput,
  until: { objects: number; passes: number },
): Promise<{ kind: 'caught-up' | 'behind'; lastCopied: number } | (PassResult & { kind: 'stopped' })> {
  let lastCopied = Infinity;
  for (let pass = 0; pass < until.passes && lastCopied > until.objects; pass++) {
    const result = await runPass(input).finished;
    if (result.kind === 'stopped') return result;
    lastCopied = result.counts.copied + result.counts.deleted;
    await input.ledger.setNote('migration', 'begun');
  }
  if (lastCopied > until.objects) return { kind: 'behind', lastCopied };
  await input.ledger.setNote('migration', 'caught-up');
  return { kind: 'caught-up', lastCopied };
}

export type CutOver =
  /** Both sides were compared whole and agree: the target may be used. */
  | { kind: 'ready'; objects: number }
  /** They do not agree yet; the source stays in use. */
  | { kind: 'not-equal'; differences: number; examples: string[] }
  | (PassResult & { kind: 'stopped' });

/**
 * The last pass with writes stopped, and a full comparison with properties. Whether writes are stopped is asked before
 * and after: a write in between would be lost.
 * @throws FENCE_UNCONFIRMED when writes are not stopped
 */
export async function cutOver(
  input: MigrationInput,
  { writesStopped, compareBytes }: { writesStopped: () => Promise<boolean>; compareBytes: boolean },
): Promise<CutOver> {
  await requireStopped(writesStopped, input);
  const last = await runPass(input).finished;
  if (last.kind === 'stopped') return last;
  const examples: string[] = [];
  // Without the ledger: what it remembers must not stand for what is there.
  const { ledger: _, cursor: __, ...bare } = input;
  const compared = await runPass({
    ...bare,
    rule: { ...input.rule, mode: 'compare', compareBytes, compareProperties: false },
    onObject: (event: ObjectEvent) => {
      if (event.kind !== 'outcome' && examples.length < 20) examples.push(`${event.kind} ${event.key}`);
    },
  }).finished;
  if (compared.kind === 'stopped') return compared;
  await requireStopped(writesStopped, input);
  const { onlySource, onlyTarget, different, sourceObjects } = compared.counts;
  const { failed, archived, changing, kept } = last.counts;
  const differences = onlySource + onlyTarget + different + failed + archived + changing + kept;
  if (differences > 0) return { kind: 'not-equal', differences, examples };
  await input.ledger.freeze({ epoch: input.rule.copy.epoch, why: 'cut over' });
  return { kind: 'ready', objects: sourceObjects };
}

async function requireStopped(writesStopped: () => Promise<boolean>, { source }: MigrationInput): Promise<void> {
  if (await writesStopped()) return;
  throw new MusterError('FENCE_UNCONFIRMED', `writes to ${source.client.name} are not stopped: nothing was cut over`);
}

/**
 * Back to the source after a cut-over: what was written at the target since is brought home by a ledger that knows what
 * both agreed on; what both changed is kept and told.
 */
export async function rollBack(input: MigrationInput, home: ReplicationLedger): Promise<PassResult> {
  await turnLedger(input.ledger, home);
  const { cursor: _, ...rest } = input;
  const copy = { ...input.rule.copy, epoch: input.rule.copy.epoch + 1 };
  const result = await runPass({
    ...rest,
    ...{ source: input.target, target: input.source, ledger: home, rule: { ...input.rule, copy } },
  }).finished;
  if (result.kind === 'complete') await home.setNote('migration', 'rolled-back');
  return result;
}
