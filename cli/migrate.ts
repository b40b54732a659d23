import path from 'node:path';
import { type Command } from 'commander';
import { type AssessInput } from '../activities/mover/migration/assess.ts';
import { type MigrationInput } from '../activities/mover/migration/migrate.ts';
import { type ReplicationLedger } from '../activities/mover/ledger/ledger.ts';
import { parseRate } from '../activities/mover/run/timetable.ts';
import { type Side } from '../activities/mover/side.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { addCarry, addChoice, addLimits } from './copy-options.ts';
import { openPlaces } from './copy-places.ts';
import { type CopyFlags, durationOf, ruleOf, share, whole, wrong } from './copy-rule.ts';
import { onInterrupt, openState } from './copy-state.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { openMigrateView, type MigrateView } from './migrate-view.ts';
import { note, reportError } from './output.ts';

const help = `
A migration goes one way, in this order; --state remembers where it stands:
  muster migrate assess    s3://old oss://new?region=cn-hangzhou --state /var/lib/muster/move
  muster migrate run       s3://old oss://new?region=cn-hangzhou --state /var/lib/muster/move   again and again, while users go on
  muster migrate cut-over  …  --writes-stopped      once nobody writes to the old place any more
  muster migrate roll-back …                        if it has to be: what was written at the new place comes home
  muster migrate status    …

Exit codes:
  0  done
  1  stopped: the code says why; run it again, it goes on where it was
  2  wrong usage, or not the time for this step: nothing was started
  3  run: still behind, or objects were left out; cut-over: both sides differ, the old place stays in use;
     assess: something cannot be moved; roll-back: something was kept, since both sides changed it
  4  a person is needed: writes are not stopped, or the delete guard stopped it`;

interface MigrateFlags extends CopyFlags {
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

/** `muster migrate`: a bucket moves to another place for good. Stands alone. */
export function addMigrate(program: Command): void {
  const group = program
    .command('migrate')
    .description('move a bucket to another place for good: assess, run, cut-over, roll-back')
    .addHelpText('after', help);
  const add = (name: string, description: string, step: (of: Step) => Promise<ExitCode>): Command =>
    addCarry(addChoice(group.command(name).description(description)))
      .argument('<source>', 's3://bucket/prefix or oss://bucket/prefix')
      .argument('<target>', 'the same')
      .requiredOption('--state <dir>', 'where this migration stands')
      .option('--json', 'lines of JSON')
      .action(async (source: string, target: string, flags: MigrateFlags) => {
        try {
          process.exitCode = await take(source, target, { flags, step });
        } catch (err) {
          process.exitCode = codeOf(err, reportError(err, flags.json === true));
        }
      });
  add('assess', 'what there is, what cannot come along, how long it will take; changes nothing', assessed)
    .option('--sample <percent>', 'of the objects whose metadata, tags and locks are looked at', '2')
    .option('--rate <bytes>', 'bytes a second to reckon with, e.g. 50M; default: as measured by run')
    .option('--objects-per-second <number>', 'to reckon with; default: as measured by run');
  const deletes = (command: Command): Command =>
    addLimits(command).option('--delete-guard <percent>', 'stop before deleting more than this share', '10');
  deletes(add('run', 'copy until the target has caught up', caughtUp))
    .option('--passes <number>', 'at most so many', '5')
    .option('--left <objects>', 'caught up when a pass finds no more than these', '0');
  add('status', 'where it stands', status);
  const cut = add('cut-over', 'the last pass and a full comparison, while nobody writes to the source', cutOver);
  deletes(cut)
    .option('--writes-stopped', 'your word that nobody writes to the source any more')
    .option('--probe <time>', 'or watch the source for so long, e.g. 1m: nothing may change')
    .option('--download', 'compare bytes where nothing else decides')
    .option('--properties', 'also compare metadata, content headers and tags of each object');
  deletes(add('roll-back', 'back to the source, with what was written at the target since', rollBack));
}

function codeOf(err: unknown, usual: ExitCode): ExitCode {
  return err instanceof MusterError && err.code === 'FENCE_UNCONFIRMED' ? exitCodes.needsPerson : usual;
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
  const stop = new AbortController();
  const release = onInterrupt(() => stop.abort(new Error('interrupted')));
  const view = openMigrateView(flags.json === true);
  const { signal } = stop;
  const input: MigrationInput = {
    ...{ source, target, rule, ledger, workDirectory: path.join(directory, 'out'), signal },
    onObject: (event) => view.object(event),
    onRun: (run, what) => view.watch(run, what),
  };
  const home = (): Promise<ReplicationLedger> => openState(path.join(directory, 'home'), `migrate-${fingerprint}`);
  try {
    return await step({ source, target, ledger, home, flags, view, signal, input });
  } finally {
    release();
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
  const [{ assess }, { measuredRate }] = await Promise.all([
    import('../activities/mover/migration/assess.ts'),
    import('../activities/mover/migration/migrate.ts'),
  ]);
  const rate = rateOf(flags) ?? (await measuredRate(ledger));
  const assessing: AssessInput = {
    ...{ source, target, sampleShare: share('--sample', flags.sample), signal },
    ...{ filter: input.rule.filter, carry: input.rule.copy.carry, versions: input.rule.versions },
    ...(rate === undefined ? {} : { rate }),
  };
  const found = await assess(assessing);
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

async function cutOver({ ledger, source, flags, view, input, signal }: Step): Promise<ExitCode> {
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

async function rollBack({ ledger, home, view, input }: Step): Promise<ExitCode> {
  const { rollBack: carryOut } = await import('../activities/mover/migration/migrate.ts');
  await requirePhase(ledger, ['cut-over'], 'was not cut over: the source is still in use', false);
  await using way = await home();
  const result = await carryOut(input, way);
  view.rolledBack(result);
  if (result.kind === 'stopped') return stopped(result);
  const { failed, kept, archived } = result.counts;
  return failed + kept + archived > 0 ? exitCodes.objectivesMissed : exitCodes.met;
}

async function status({ ledger, home, view }: Step): Promise<ExitCode> {
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
