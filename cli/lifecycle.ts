import { createHash } from 'node:crypto';
import path from 'node:path';
import { type LifecycleDone, type LifecyclePlan } from '../activities/mover/lifecycle/run-lifecycle.ts';
import { type LifecycleRule } from '../activities/mover/lifecycle/rules.ts';
import { type ReplicationLedger } from '../activities/mover/ledger/ledger.ts';
import { type ObjectPlace } from '../activities/objects/place.ts';
import { type ObjectClient } from '../activities/objects/types.ts';
import { type Side } from '../activities/mover/side.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { type CopyFlags, ruleOf } from './copy-rule.ts';
import { openState, stopInOrder } from './copy-state.ts';
import { durationText, eventText, sizeText, stoppedText } from './copy-view.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { note, say, style } from './output.ts';

interface LifecycleFlags extends Partial<CopyFlags> {
  rules: string;
  state?: string;
  json?: boolean;
}

/** The source and the target of the rules, opened, and the rules on them. */
interface Opened extends AsyncDisposable {
  source: Side;
  rules: LifecycleRule[];
  /** Of source and target; '' without a target. */
  fingerprint: string;
}

async function open(sourceText: string, file: string): Promise<Opened> {
  const { loadRules } = await import('./lifecycle/rules-file.ts');
  const { to, rules } = loadRules(file);
  const [{ parseLocation }, { openObjects }] = await Promise.all([
    import('../activities/objects/location.ts'),
    import('../activities/objects/open.ts'),
  ]);
  const from = parseLocation(sourceText, process.env);
  const onto = to === undefined ? undefined : parseLocation(referenced(to), process.env);
  if (onto !== undefined) refuseOverlap(from, onto);
  const clients: ObjectClient[] = [openObjects(from)];
  if (onto !== undefined) clients.push(openObjects(onto));
  const target: Side | undefined = onto === undefined ? undefined : { client: clients[1]!, prefix: onto.prefix };
  const places = [from, onto].map((place) => place && [place.endpoint, place.bucket, place.prefix]);
  return {
    source: { client: clients[0]!, prefix: from.prefix },
    rules: rules.map(({ action, ...rule }) => ({
      ...rule,
      // The check of the file has seen to it that there is a place to migrate to.
      action: action.kind === 'tier' ? action : { ...action, target: target! },
    })),
    fingerprint:
      onto === undefined ? '' : createHash('sha256').update(JSON.stringify(places)).digest('hex').slice(0, 16),
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
    },
  };
}

function referenced(to: string): string {
  const [, name] = /^env:(\w+)$/.exec(to) ?? [];
  if (name === undefined) return to;
  const value = process.env[name];
  if (value === undefined || value === '')
    throw new MusterError('SECRET_MISSING', `the environment has no ${name}, which "to" of the rules names`);
  return value;
}

function refuseOverlap(a: ObjectPlace, b: ObjectPlace): void {
  const within = a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix);
  if (a.endpoint === b.endpoint && a.bucket === b.bucket && within)
    throw new MusterError('CONFIG_INVALID', '"to" of the rules and the source lie within each other');
}

/** `muster lifecycle plan` */
export async function plan(flags: LifecycleFlags, sourceText: string): Promise<ExitCode> {
  await using opened = await open(sourceText, flags.rules);
  const { planLifecycle } = await import('../activities/mover/lifecycle/run-lifecycle.ts');
  const plans = await planLifecycle(opened);
  for (const one of plans) {
    if (flags.json === true) process.stdout.write(`${JSON.stringify({ type: 'plan', ...one })}\n`);
    else say(`${style.bold(one.rule)}: ${planText(one)}`);
  }
  return exitCodes.met;
}

function planText({ objects, sizeBytes }: LifecyclePlan): string {
  return `${objects} objects, ${sizeText(sizeBytes)}`;
}

/** `muster lifecycle run` */
export async function run(flags: LifecycleFlags, sourceText: string): Promise<ExitCode> {
  await using opened = await open(sourceText, flags.rules);
  const { source, rules, fingerprint } = opened;
  const { state, json = false } = flags;
  if (state === undefined && rules.some(({ action }) => action.kind === 'migrate'))
    throw new MusterError(
      'CONFIG_INVALID',
      '--state: is missing, and a rule migrates: it has to remember what is proved',
    );
  const { runLifecycle } = await import('../activities/mover/lifecycle/run-lifecycle.ts');
  const stop = stopInOrder();
  const startedAtMs = performance.now();
  const ledgerFor = (rule: LifecycleRule): Promise<ReplicationLedger> =>
    openState(path.join(path.resolve(state!), directoryOf(rule.name)), `lifecycle-${fingerprint}`);
  try {
    const done = await runLifecycle({
      ...{ source, rules, pass: passRule(flags), ledgerFor, signal: stop.signal },
      onRule: (one) => tell(one, json),
      onObject: ({ name }, event) => {
        if (json) process.stdout.write(`${JSON.stringify({ type: 'object', rule: name, ...event })}\n`);
        else if (event.kind === 'outcome') say(eventText(event));
      },
    });
    if (!json) note(`in ${durationText(performance.now() - startedAtMs)}`);
    if (done.some(({ stopped }) => stopped !== undefined)) return stop.exitCode(exitCodes.failed);
    return done.some(({ failed }) => failed > 0) ? exitCodes.objectivesMissed : exitCodes.met;
  } finally {
    stop.end();
  }
}

/** A name of a rule may hold anything; two may differ only in what a file system does not keep. */
function directoryOf(rule: string): string {
  const print = createHash('sha256').update(rule).digest('hex').slice(0, 8);
  return `${rule.replace(/[^\w.-]/g, '-').slice(0, 40)}-${print}`;
}

function passRule(flags: LifecycleFlags): ReturnType<typeof ruleOf> {
  const usual = { include: [], exclude: [], tag: [], tags: true, locks: true, storageClass: 'keep', conflicts: 'keep' };
  const fixed = { deleteGuard: '10', compareBy: 'content', overwrite: 'ours', epoch: '0', origin: '', every: '5m' };
  const limits = { transfers: '32', parts: '4', partSize: '16M', listers: '8', credentialsWait: '15m' };
  return ruleOf({ ...usual, ...fixed, ...limits, ...flags });
}

function tell(done: LifecycleDone, json: boolean): void {
  if (json) return void process.stdout.write(`${JSON.stringify({ type: 'rule', ...done })}\n`);
  const { rule, failed, failures, stopped } = done;
  const left = failed > 0 ? `, ${style.yellow(`${failed} stay where they are`)}` : '';
  say(`${style.bold(rule)}: ${done.done} of ${planText(done)}${left}`);
  for (const { key, code, message } of failures)
    say(`  ${style.red('failed')} ${JSON.stringify(key)}: ${code}: ${message}`);
  if (stopped !== undefined) note(stoppedText(stopped));
}
