import { type ErrorCode, MusterError } from '../../../workflows/engine/errors.ts';
import { type Entry, readPages } from '../compare/pages.ts';
import { type ReplicationLedger } from '../ledger/ledger.ts';
import { runEnding } from '../copy/outcome.ts';
import { type FilterRule } from '../run/filter.ts';
import { type ObjectEvent, type PassRule } from '../run/pass.ts';
import { runPass } from '../run/run-pass.ts';
import { fullKey, type Side } from '../side.ts';
import { moveVerified } from './move-verified.ts';
import { type CompiledRule, compileRules, isDone, isMet, type LifecycleRule } from './rules.ts';
import { isTagged } from './tagged.ts';

export interface LifecycleInput {
  source: Side;
  rules: readonly LifecycleRule[];
  pass: PassRule;
  /** One for each target, since a ledger belongs to a pair. */
  ledgerFor: (rule: LifecycleRule) => Promise<ReplicationLedger>;
  /** Each rule as it ends. */
  onRule?: (done: LifecycleDone) => void;
  onObject?: (rule: LifecycleRule, event: ObjectEvent) => void;
  signal?: AbortSignal;
}

/** What a rule is about, before anything is done. */
export interface LifecyclePlan {
  rule: string;
  objects: number;
  sizeBytes: number;
}
export interface LifecycleDone extends LifecyclePlan {
  done: number;
  failed: number;
  /** Of the failed, the first by name. */
  failures: { key: string; code: ErrorCode; message: string }[];
  /** What ended the rule before its end. */
  stopped?: { code: ErrorCode | 'ABORTED'; message: string };
}

const mostFailures = 20;
/** Looks and copies inside the store at once. */
const wide = 16;

/** Counts what each rule would do; an object goes by the first rule it meets. Tags cost a request an object. */
export async function planLifecycle(
  input: Pick<LifecycleInput, 'source' | 'rules' | 'signal'>,
): Promise<LifecyclePlan[]> {
  const compiled = compileRules(input.rules, Date.now());
  const plans = new Map(input.rules.map(({ name }) => [name, { rule: name, objects: 0, sizeBytes: 0 }]));
  await eachEntry(input, async (entry) => {
    const one = await firstMet(input, compiled, entry);
    const plan = plans.get(one === undefined || isDone(one, entry) ? '' : one.rule.name);
    if (plan === undefined) return;
    plan.objects += 1;
    plan.sizeBytes += entry.sizeBytes;
  });
  return [...plans.values()];
}

/** Pages of the source, some entries at once. */
async function eachEntry(
  { source, signal }: Pick<LifecycleInput, 'source' | 'signal'>,
  see: (entry: Entry) => Promise<void>,
): Promise<void> {
  const pages = readPages({ side: source, after: '', versions: false, ...(signal === undefined ? {} : { signal }) });
  for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
    const entries = page;
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let i = next++; i < entries.length; i = next++) {
        signal?.throwIfAborted();
        await see(entries[i]!);
      }
    };
    await Promise.all(Array.from({ length: wide }, worker));
  }
}

async function firstMet(
  { source, signal }: Pick<LifecycleInput, 'source' | 'signal'>,
  rules: readonly CompiledRule[],
  entry: Entry,
): Promise<CompiledRule | undefined> {
  for (const one of rules) {
    if (!isMet(one, entry)) continue;
    const { tags } = one.filter;
    const call = signal === undefined ? {} : { signal };
    if (tags === undefined || (await isTagged(source, entry.key, tags, call))) return one;
  }
  return undefined;
}

/** Carries the rules out, one after the other. What ends one rule is told in what it did; the others go on. */
export async function runLifecycle(input: LifecycleInput): Promise<LifecycleDone[]> {
  const compiled = compileRules(input.rules, Date.now());
  const plans = await planLifecycle(input);
  const all: LifecycleDone[] = [];
  for (const [i, one] of compiled.entries()) {
    const before = compiled.slice(0, i);
    const outcome = await (one.rule.action.kind === 'tier' ? tier : migrate)(input, one, before).catch(
      stoppedBy(input),
    );
    const done: LifecycleDone = { ...plans[i]!, ...outcome };
    all.push(done);
    input.onRule?.(done);
    if (outcome.stopped?.code === 'ABORTED') break;
  }
  return all;
}

type Outcome = Pick<LifecycleDone, 'done' | 'failed' | 'failures' | 'stopped'>;

function stoppedBy({ signal }: LifecycleInput): (err: unknown) => Outcome {
  return (err) => {
    const none = { done: 0, failed: 0, failures: [] };
    if (signal?.aborted === true) return { ...none, stopped: { code: 'ABORTED', message: 'ended from outside' } };
    if (!(err instanceof MusterError)) throw err;
    return { ...none, stopped: { code: err.code, message: err.message } };
  };
}

async function tier(input: LifecycleInput, one: CompiledRule, before: readonly CompiledRule[]): Promise<Outcome> {
  const { source } = input;
  const outcome: Outcome = { done: 0, failed: 0, failures: [] };
  if (one.rule.action.kind !== 'tier') return outcome;
  const { storageClass } = one.rule.action;
  await eachEntry(input, async (entry) => {
    const { key, etag } = entry;
    const full = fullKey(source, key);
    try {
      if (!isMet(one, entry) || isDone(one, entry)) return;
      if ((await firstMet(input, [...before, one], entry)) !== one) return;
      await source.client.copy({ key: full, ifMatch: etag }, full, { storageClass });
      outcome.done += 1;
    } catch (err) {
      if (!(err instanceof MusterError) || runEnding.has(err.code) || err.code === 'CREDENTIALS_REFUSED') throw err;
      outcome.failed += 1;
      if (outcome.failures.length < mostFailures) outcome.failures.push({ key, code: err.code, message: err.message });
    }
  });
  return outcome;
}

async function migrate(
  input: LifecycleInput,
  { rule }: CompiledRule,
  before: readonly CompiledRule[],
): Promise<Outcome> {
  const failures: Outcome['failures'] = [];
  if (rule.action.kind !== 'migrate') return { done: 0, failed: 0, failures };
  const { source, pass, signal } = input;
  const { target, keepSource } = rule.action;
  await using ledger = await input.ledgerFor(rule);
  const filter: FilterRule = { ...rule.filter, except: before.flatMap((other) => untagged(other.rule.filter)) };
  const work = {
    ...{ source, target, ledger, rule: { ...pass, filter } },
    ...(signal === undefined ? {} : { signal }),
    onObject: (event: ObjectEvent) => {
      if (event.kind === 'outcome' && event.outcome.kind === 'failed' && failures.length < mostFailures)
        failures.push({ key: event.key, code: event.outcome.code, message: event.outcome.message });
      input.onObject?.(rule, event);
    },
  };
  if (keepSource) {
    const result = await runPass(work).finished;
    const { copied, failed, kept, archived } = result.counts;
    const stopped = result.kind === 'stopped' ? { stopped: { code: result.code, message: result.message } } : {};
    return { done: copied, failed: failed + kept + archived, failures, ...stopped };
  }
  const moved = await moveVerified(work);
  if (moved.kind === 'moved') return { done: moved.removed, failed: moved.left, failures };
  const { code, message } = moved;
  return { done: 0, failed: moved.counts.failed, failures, stopped: { code, message } };
}

/** Tags of another rule cannot be told by a listing: such a rule keeps nothing from this one. */
function untagged(filter: FilterRule): FilterRule[] {
  return filter.tags === undefined ? [filter] : [];
}
