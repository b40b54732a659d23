import { MusterError } from '../../../workflows/engine/errors.ts';
import { turnLedger } from '../ledger/conflicts.ts';
import { type DrainRate } from '../ledger/figures.ts';
import { type ReplicationLedger } from '../ledger/ledger.ts';
import { type ObjectEvent, type PassInput, type PassResult, type PassRun } from '../run/pass.ts';
import { runPass } from '../run/run-pass.ts';
import { printOfSide } from './still.ts';

export interface MigrationInput extends PassInput {
  ledger: ReplicationLedger;
  /** Each pass as it begins, for its progress. */
  onRun?: (run: PassRun, what: MigrationStep) => void;
}
export type MigrationStep = 'catch-up' | 'last-pass' | 'comparison' | 'way-home';

/** Kept in the ledger, so that every command knows where a migration stands. */
export type MigrationPhase = 'begun' | 'caught-up' | 'cut-over' | 'rolled-back';

/** What happened, oldest first; kept in the ledger. Times by this machine's clock. */
export interface MigrationEvent {
  atMs: number;
  phase: MigrationPhase;
  copied: number;
  copiedBytes: number;
  deleted: number;
  failed: number;
  /** Of the pass; undefined where nothing was copied. */
  rate?: DrainRate;
}
const mostEvents = 100;

export async function migrationPhase(ledger: ReplicationLedger): Promise<MigrationPhase | undefined> {
  return (await ledger.getNote('migration')) as MigrationPhase | undefined;
}

export async function migrationEvents(ledger: ReplicationLedger): Promise<MigrationEvent[]> {
  return ((await ledger.getNote('migration-events')) as MigrationEvent[] | undefined) ?? [];
}

/** Copied per second by the last pass that copied anything; undefined before there was one. */
export async function measuredRate(ledger: ReplicationLedger): Promise<DrainRate | undefined> {
  return (await migrationEvents(ledger)).findLast(({ rate }) => rate !== undefined)?.rate;
}

async function enter(
  ledger: ReplicationLedger,
  phase: MigrationPhase,
  { counts, elapsedMs }: PassResult,
): Promise<void> {
  const { copied, copiedBytes, deleted, failed } = counts;
  const event: MigrationEvent = { atMs: Date.now(), phase, copied, copiedBytes, deleted, failed };
  const seconds = Math.max(0.001, elapsedMs / 1_000);
  if (copied > 0) event.rate = { objectsPerSecond: copied / seconds, bytesPerSecond: copiedBytes / seconds };
  await ledger.setNote('migration-events', [...(await migrationEvents(ledger)), event].slice(-mostEvents));
  await ledger.setNote('migration', phase);
}

function pass(input: MigrationInput, what: MigrationStep): Promise<PassResult> {
  const run = runPass(input);
  input.onRun?.(run, what);
  return run.finished;
}

/** Passes until one finds so little that the rest fits the cut-over, or so many were made. */
export async function catchUp(
  input: MigrationInput,
  until: { objects: number; passes: number },
): Promise<{ kind: 'caught-up' | 'behind'; lastCopied: number } | (PassResult & { kind: 'stopped' })> {
  let lastCopied = Infinity;
  let last: PassResult | undefined;
  for (let made = 0; made < until.passes && lastCopied > until.objects; made++) {
    last = await pass(input, 'catch-up');
    if (last.kind === 'stopped') return last;
    lastCopied = last.counts.copied + last.counts.deleted;
    await enter(input.ledger, lastCopied > until.objects ? 'begun' : 'caught-up', last);
  }
  return { kind: lastCopied > until.objects ? 'behind' : 'caught-up', lastCopied };
}

export type CutOver =
  /** Both sides were compared whole and agree: the target may be used. */
  | { kind: 'ready'; objects: number }
  /** They do not agree yet; the source stays in use. */
  | { kind: 'not-equal'; differences: number; examples: string[] }
  | (PassResult & { kind: 'stopped' });

export interface CutOverRule {
  /** Asked before and after: a write in between would be lost. */
  writesStopped: () => Promise<boolean>;
  /** Where nothing else decides, both sides are read. */
  compareBytes: boolean;
  /** Metadata, content headers and tags, too: several requests an object. */
  compareProperties?: boolean;
}

/**
 * The last pass with writes stopped, and a full comparison. Whatever was said of stopped writes, the source must list
 * the same before and after.
 * @throws FENCE_UNCONFIRMED when writes are not stopped
 */
export async function cutOver(input: MigrationInput, rule: CutOverRule): Promise<CutOver> {
  await requireStopped(rule.writesStopped, input);
  const before = await printOfSide(input.source, input.signal);
  const last = await pass(input, 'last-pass');
  if (last.kind === 'stopped') return last;
  const examples: string[] = [];
  const compared = await compareWhole(input, rule, examples);
  if (compared.kind === 'stopped') return compared;
  await requireStopped(rule.writesStopped, input);
  if ((await printOfSide(input.source, input.signal)) !== before) throw unconfirmed(input);
  const { onlySource, onlyTarget, different, sourceObjects } = compared.counts;
  const { failed, archived, changing, kept } = last.counts;
  const differences = onlySource + onlyTarget + different + failed + archived + changing + kept;
  if (differences > 0) return { kind: 'not-equal', differences, examples };
  await enter(input.ledger, 'cut-over', last);
  await input.ledger.freeze({ epoch: input.rule.copy.epoch, why: 'cut over' });
  return { kind: 'ready', objects: sourceObjects };
}

/** Without the ledger: what it remembers must not stand for what is there. */
function compareWhole(input: MigrationInput, rule: CutOverRule, examples: string[]): Promise<PassResult> {
  const { ledger: _, cursor: __, ...bare } = input;
  const { compareBytes, compareProperties = false } = rule;
  const run = runPass({
    ...bare,
    rule: { ...input.rule, mode: 'compare', compareBytes, compareProperties },
    onObject: (event: ObjectEvent) => {
      if (event.kind !== 'outcome' && examples.length < 20) examples.push(`${event.kind} ${event.key}`);
    },
  });
  input.onRun?.(run, 'comparison');
  return run.finished;
}

async function requireStopped(writesStopped: () => Promise<boolean>, input: MigrationInput): Promise<void> {
  if (!(await writesStopped())) throw unconfirmed(input);
}

function unconfirmed({ source }: MigrationInput): MusterError {
  return new MusterError('FENCE_UNCONFIRMED', `writes to ${source.client.name} are not stopped: nothing was cut over`);
}

/**
 * Back to the source after a cut-over: what was written at the target since is brought home by a ledger that knows what
 * both agreed on; what both changed is kept and told.
 */
export async function rollBack(input: MigrationInput, home: ReplicationLedger): Promise<PassResult> {
  const frozen = await input.ledger.frozen();
  await turnLedger(input.ledger, home, frozen?.atMs);
  const { cursor: _, ...rest } = input;
  const copy = { ...input.rule.copy, epoch: input.rule.copy.epoch + 1 };
  const result = await pass(
    { ...rest, source: input.target, target: input.source, ledger: home, rule: { ...input.rule, copy } },
    'way-home',
  );
  if (result.kind === 'complete') await enter(home, 'rolled-back', result);
  return result;
}
