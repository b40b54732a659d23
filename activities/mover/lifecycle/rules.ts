import { MusterError } from '../../../workflows/engine/errors.ts';
import { type Entry } from '../compare/pages.ts';
import { compileFilter, type Filter, type FilterRule } from '../run/filter.ts';
import { type Side } from '../side.ts';

/** What shall happen to objects of an age, size, name or tag. */
export interface LifecycleRule {
  name: string;
  /** At least one condition, so that nobody moves a whole bucket by an empty rule. */
  filter: FilterRule;
  action:
    | { kind: 'tier'; storageClass: string }
    /** `keepSource`: a copy elsewhere; else the source's goes once the target's is proved. */
    | { kind: 'migrate'; target: Side; keepSource: boolean };
}

export interface CompiledRule {
  rule: LifecycleRule;
  filter: Filter;
}

/** @throws CONFIG_INVALID for rules without a condition and for names that come twice */
export function compileRules(rules: readonly LifecycleRule[], nowMs: number): CompiledRule[] {
  const names = new Set<string>();
  return rules.map((rule) => {
    if (names.has(rule.name)) throw new MusterError('CONFIG_INVALID', `two lifecycle rules are called ${rule.name}`);
    names.add(rule.name);
    const conditions = Object.values(rule.filter).filter(isCondition);
    if (conditions.length === 0)
      throw new MusterError('CONFIG_INVALID', `the lifecycle rule ${rule.name} has no condition`);
    return { rule, filter: compileFilter(rule.filter, nowMs) };
  });
}

function isCondition(value: unknown): boolean {
  return value !== undefined && value !== '' && (!Array.isArray(value) || value.length > 0);
}

/**
 * The first rule that an object meets by what a listing says of it; undefined also when it is where that rule wants it.
 * Pure. Tags are looked at where a rule names some.
 */
export function ruleFor(rules: readonly CompiledRule[], entry: Entry): CompiledRule | undefined {
  const first = rules.find((one) => isMet(one, entry));
  return first === undefined || isDone(first, entry) ? undefined : first;
}

/** By all but tags. */
export function isMet({ filter }: CompiledRule, entry: Entry): boolean {
  return filter.named(entry.key) && filter.sized(entry);
}

/** Whether a tier is reached already. A later rule must not take it from there, else two rules would go back and forth. */
export function isDone({ rule: { action } }: CompiledRule, entry: Entry): boolean {
  return action.kind === 'tier' && action.storageClass === entry.storageClass;
}
