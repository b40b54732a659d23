import { MusterError } from '../../../workflows/engine/errors.ts';
import { readPages } from '../compare/pages.ts';
import { type ReplicationLedger } from '../ledger/ledger.ts';
import { type PassRule } from '../run/pass.ts';
import { runPass } from '../run/run-pass.ts';
import { fullKey, type Side } from '../side.ts';
import { moveVerified } from './move-verified.ts';
import { type CompiledRule, compileRules, type LifecycleRule, ruleFor } from './rules.ts';

export interface LifecycleInput {
  source: Side;
  rules: readonly LifecycleRule[];
  pass: PassRule;
  /** One for each target, since a ledger belongs to a pair. */
  ledgerFor: (rule: LifecycleRule) => Promise<ReplicationLedger>;
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
  why?: string;
}

/** Counts what each rule would do; an object goes by the first rule it meets. Tags are not looked at. */
export async function planLifecycle({
  source,
  rules,
  signal,
}: Omit<LifecycleInput, 'pass' | 'ledgerFor'>): Promise<LifecyclePlan[]> {
  const compiled = compileRules(rules, Date.now());
  const plans = new Map(rules.map(({ name }) => [name, { rule: name, objects: 0, sizeBytes: 0 }]));
  const pages = readPages({ side: source, after: '', versions: false, ...(signal === undefined ? {} : { signal }) });
  for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
    for (const entry of page) {
      const plan = plans.get(ruleFor(compiled, entry)?.rule.name ?? '');
      if (plan === undefined) continue;
      plan.objects += 1;
      plan.sizeBytes += entry.sizeBytes;
    }
  }
  return [...plans.values()];
}

/** Carries the rules out, one after the other: what an earlier one took is gone for the later. */
export async function runLifecycle(input: LifecycleInput): Promise<LifecycleDone[]> {
  const compiled = compileRules(input.rules, Date.now());
  const plans = await planLifecycle(input);
  const done: LifecycleDone[] = [];
  for (const [i, one] of compiled.entries()) {
    const plan = plans[i]!;
    done.push({ ...plan, ...(one.rule.action.kind === 'tier' ? await tier(input, one) : await migrate(input, one)) });
  }
  return done;
}

type Outcome = Pick<LifecycleDone, 'done' | 'failed' | 'why'>;

async function tier({ source, signal }: LifecycleInput, { rule, filter }: CompiledRule): Promise<Outcome> {
  if (rule.action.kind !== 'tier') return { done: 0, failed: 0 };
  const { storageClass } = rule.action;
  const outcome: Outcome = { done: 0, failed: 0 };
  const pages = readPages({ side: source, after: '', versions: false, ...(signal === undefined ? {} : { signal }) });
  for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
    for (const entry of page) {
      if (ruleFor([{ rule, filter }], entry) === undefined) continue;
      const key = fullKey(source, entry.key);
      try {
        if (filter.tags !== undefined && !(await isTagged(source, key, filter.tags))) continue;
        await source.client.copy({ key, ifMatch: entry.etag }, key, { storageClass });
        outcome.done += 1;
      } catch (err) {
        if (!(err instanceof MusterError)) throw err;
        outcome.failed += 1;
        outcome.why = `${JSON.stringify(entry.key)}: ${err.code}: ${err.message}`;
      }
    }
  }
  return outcome;
}

async function isTagged(source: Side, key: string, wanted: Readonly<Record<string, string>>): Promise<boolean> {
  const tags = await source.client.getTags(key);
  return Object.entries(wanted).every(([name, value]) => tags[name] === value);
}

async function migrate(input: LifecycleInput, { rule }: CompiledRule): Promise<Outcome> {
  if (rule.action.kind !== 'migrate') return { done: 0, failed: 0 };
  const { source, pass, signal } = input;
  const { target, keepSource } = rule.action;
  await using ledger = await input.ledgerFor(rule);
  const work = {
    ...{ source, target, ledger, rule: { ...pass, filter: rule.filter } },
    ...(signal === undefined ? {} : { signal }),
  };
  if (keepSource) {
    const result = await runPass(work).finished;
    const { copied, failed } = result.counts;
    return { done: copied, failed, ...(result.kind === 'stopped' ? { why: `${result.code}: ${result.message}` } : {}) };
  }
  const moved = await moveVerified(work);
  if (moved.kind === 'stopped') return { done: 0, failed: moved.counts.failed, why: `${moved.code}: ${moved.message}` };
  return { done: moved.removed, failed: moved.kept };
}
