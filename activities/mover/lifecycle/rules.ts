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
    const conditions = Object.values(rule.filter).filter((value) => !Array.isArray(value) || value.length > 0);
    if (conditions.length === 0)
      throw new MusterError('CONFIG_INVALID', `the lifecycle rule ${rule.name} has no condition`);
    return { rule, filter: compileFilter(rule.filter, nowMs) };
  });
}

/** The first rule that an object meets by what a listing says of it; pure. Tags are looked at where a rule names some. */
export function ruleFor(rules: readonly CompiledRule[], entry: Entry): CompiledRule | undefined {
  return rules.find(({ rule, filter }) => {
    if (!filter.named(entry.key) || !filter.sized(entry)) return false;
    return rule.action.kind !== 'tier' || rule.action.storageClass !== entry.storageClass;
  });
}
