import path from 'node:path';
import { type AssessInput } from '../activities/mover/migration/assess.ts';
import { type MigrationInput } from '../activities/mover/migration/migrate.ts';
import { type ReplicationLedger } from '../activities/mover/ledger/ledger.ts';
import { parseRate } from '../activities/mover/run/timetable.ts';
import { type Side } from '../activities/mover/side.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { LoneBody } from './command.ts';
import { openPlaces } from './copy-places.ts';
import { type CopyFlags, durationOf, ruleOf, share, whole, wrong } from './copy-rule.ts';
import { openState, stopInOrder } from './copy-state.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { openMigrateView, type MigrateView } from './migrate-view.ts';
import { note, reportErrorLine } from './output.ts';

export interface MigrateFlags extends CopyFlags {
  state: string;
  sample: string;
  rate?: string;
  objectsPerSecond?: string;
  passes: string;
  left: string;
  writesStopped?: boolean;
  probe?: string;
}

/** One step of a migration, with all it works on. */
interface Step {
  source: Side;
  target: Side;
  ledger: ReplicationLedger;
  /** Opens the ledger of the way home. */
  home(): Promise<ReplicationLedger>;
  flags: MigrateFlags;
  view: MigrateView;
  signal: AbortSignal;
  input: MigrationInput;
}

/** A step by itself: both places opened, Ctrl-C heeded, and a person sent for where only one can decide. */
function bodyOf(step: (of: Step) => Promise<ExitCode>): LoneBody<MigrateFlags> {
  return async (flags, source, target) => {
    try {
      return await take(source, target, { flags, step });
    } catch (err) {
      if (!(err instanceof MusterError) || err.code !== 'FENCE_UNCONFIRMED') throw err;
      reportErrorLine(err, flags.json === true);
      return exitCodes.needsPerson;
    }
  };
}

async function take(
  sourceText: string,
  targetText: string,
  { flags, step }: { flags: MigrateFlags; step: (of: Step) => Promise<ExitCode> },
): Promise<ExitCode> {
  const rule = ruleFor(flags);
  await using places = await openPlaces(sourceText, targetText);
  const { source, target, fingerprint } = places;
  const directory = path.resolve(flags.state);
  await using ledger = await openState(path.join(directory, 'out'), `migrate-${fingerprint}`);
  const stop = stopInOrder();
  const view = openMigrateView(flags.json === true);
  const { signal } = stop;
  const input: MigrationInput = {
    ...{ source, target, rule, ledger, workDirectory: path.join(directory, 'out'), signal },
    onObject: (event) => view.object(event),
    onRun: (run, what) => view.watch(run, what),
  };
  const home = (): Promise<ReplicationLedger> => openState(path.join(directory, 'home'), `migrate-${fingerprint}`);
  try {
    return stop.exitCode(await step({ source, target, ledger, home, flags, view, signal, input }));
  } finally {
    stop.end();
  }
}

/** What the source no longer has goes at the target, too, else both never agree; what no mover wrote there stays. */
function ruleFor(flags: MigrateFlags): MigrationInput['rule'] {
  const guard = (flags as { deleteGuard?: string }).deleteGuard ?? '10';
  const usual = { transfers: '32', parts: '4', partSize: '16M', listers: '8', credentialsWait: '15m' };
  const fixed = { compareBy: 'content', overwrite: 'ours', epoch: '0', origin: '', conflicts: 'keep', every: '5m' };
  return ruleOf({ ...fixed, ...usual, ...flags, delete: true, deleteGuard: guard });
}

async function assessed({ source, target, ledger, flags, view, signal, input }: Step): Promise<ExitCode> {
  const [{ assess: carryOut }, { measuredRate }] = await Promise.all([
    import('../activities/mover/migration/assess.ts'),
    import('../activities/mover/migration/migrate.ts'),
  ]);
  const rate = rateOf(flags) ?? (await measuredRate(ledger));
  const assessing: AssessInput = {
    ...{ source, target, sampleShare: share('--sample', flags.sample), signal },
    ...{ filter: input.rule.filter, carry: input.rule.copy.carry, versions: input.rule.versions },
    ...(rate === undefined ? {} : { rate }),
  };
  const found = await carryOut(assessing);
  view.assessment(found);
  return found.impossible.length > 0 ? exitCodes.objectivesMissed : exitCodes.met;
}

function rateOf({ rate, objectsPerSecond }: MigrateFlags): AssessInput['rate'] {
  if (rate === undefined && objectsPerSecond === undefined) return undefined;
  const objects = objectsPerSecond === undefined ? Infinity : whole('--objects-per-second', objectsPerSecond, 1);
  if (rate === undefined) return { objectsPerSecond: objects, bytesPerSecond: Infinity };
  try {
    return { objectsPerSecond: objects, bytesPerSecond: parseRate(rate) ?? Infinity };
  } catch (err) {
    throw wrong('--rate', err instanceof Error ? err.message : String(err));
  }
}

async function caughtUp({ ledger, flags, view, input }: Step): Promise<ExitCode> {
  const { catchUp } = await import('../activities/mover/migration/migrate.ts');
  await requirePhase(ledger, ['begun', 'caught-up'], 'was cut over: nothing goes that way any more');
  const until = { objects: whole('--left', flags.left, 0), passes: whole('--passes', flags.passes, 1) };
  const result = await catchUp(input, until);
  view.caughtUp(result);
  if (result.kind === 'stopped') return stopped(result);
  const { failed } = await ledger.totals();
  return result.kind === 'behind' || failed.objects > 0 ? exitCodes.objectivesMissed : exitCodes.met;
}

async function cutOverNow({ ledger, source, flags, view, input, signal }: Step): Promise<ExitCode> {
  const [{ cutOver: carryOut, migrationPhase }, { staysStill }] = await Promise.all([
    import('../activities/mover/migration/migrate.ts'),
    import('../activities/mover/migration/still.ts'),
  ]);
  const { writesStopped, probe } = flags;
  if (writesStopped !== true && probe === undefined)
    throw wrong('--writes-stopped', 'is missing: say that nobody writes to the source any more, or give --probe 1m');
  if ((await migrationPhase(ledger)) === 'cut-over') {
    note('muster: this migration was cut over before; the target is in use');
    return exitCodes.met;
  }
  await requirePhase(ledger, ['begun', 'caught-up'], 'has nothing copied yet: muster migrate run comes first', false);
  const probeMs = probe === undefined ? 0 : durationOf('--probe', probe);
  const result = await carryOut(input, {
    writesStopped: () => (probeMs === 0 ? Promise.resolve(true) : staysStill(source, probeMs, signal)),
    ...{ compareBytes: flags.download === true, compareProperties: flags.properties === true },
  });
  view.cutOver(result);
  if (result.kind === 'stopped') return stopped(result);
  return result.kind === 'ready' ? exitCodes.met : exitCodes.objectivesMissed;
}

async function rolledBack({ ledger, home, view, input }: Step): Promise<ExitCode> {
  const { rollBack: carryOut } = await import('../activities/mover/migration/migrate.ts');
  await requirePhase(ledger, ['cut-over'], 'was not cut over: the source is still in use', false);
  await using way = await home();
  const result = await carryOut(input, way);
  view.rolledBack(result);
  if (result.kind === 'stopped') return stopped(result);
  const { failed, kept, archived } = result.counts;
  return failed + kept + archived > 0 ? exitCodes.objectivesMissed : exitCodes.met;
}

async function shown({ ledger, home, view }: Step): Promise<ExitCode> {
  const { migrationEvents, migrationPhase } = await import('../activities/mover/migration/migrate.ts');
  const cut = (await ledger.frozen()) !== undefined;
  await using way = cut ? await home() : undefined;
  const back = way === undefined ? undefined : await migrationPhase(way);
  view.status({
    phase: back ?? (await migrationPhase(ledger)) ?? 'not begun',
    events: [...(await migrationEvents(ledger)), ...(way === undefined ? [] : await migrationEvents(way))],
    totals: await ledger.totals(),
  });
  return exitCodes.met;
}

async function requirePhase(
  ledger: ReplicationLedger,
  allowed: readonly string[],
  why: string,
  mayBeNew = true,
): Promise<void> {
  const { migrationPhase } = await import('../activities/mover/migration/migrate.ts');
  const phase = await migrationPhase(ledger);
  if (phase === undefined ? !mayBeNew : !allowed.includes(phase))
    throw new MusterError('CONFIG_INVALID', `this migration ${why}`);
}

function stopped({ code }: { code: string }): ExitCode {
  return code === 'DELETE_GUARD' ? exitCodes.needsPerson : exitCodes.failed;
}

/** `muster migrate assess` */
export const assess = bodyOf(assessed);
/** `muster migrate run` */
export const run = bodyOf(caughtUp);
/** `muster migrate status` */
export const status = bodyOf(shown);
/** `muster migrate cut-over` */
export const cutOver = bodyOf(cutOverNow);
/** `muster migrate roll-back` */
export const rollBack = bodyOf(rolledBack);
