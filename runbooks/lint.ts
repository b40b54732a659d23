import type { DriverCatalogue } from '../workflows/engine/catalogue.ts';
import type { Plan } from '../workflows/engine/plan.ts';
import { reachableModes } from './graph.ts';
import { changeRules } from './lint-changes.ts';
import { orderRules } from './lint-order.ts';
import { stationaryRules } from './lint-stationary.ts';
import { structureFindings } from './lint-structure.ts';
import { pathOf, type LintFinding, type Rule } from './lint-path.ts';

export type { LintFinding } from './lint-path.ts';

const rules: readonly Rule[] = [...orderRules, ...changeRules, ...stationaryRules];

/**
 * Proves the safety rules of design §6 on a plan, on every path that a run of it can take (each mode). Pure.
 * @returns what is wrong; no finding of severity `error` = safe to run
 */
export function lint(plan: Plan, catalogue: DriverCatalogue): LintFinding[] {
  const structure = structureFindings(plan, catalogue);
  // Without a sound graph nothing can be said about order.
  if (structure.length > 0) return structure;
  const modes = reachableModes(plan.mode);
  const seen = new Map<string, { finding: LintFinding; modes: string[] }>();
  for (const mode of modes) {
    const path = pathOf(plan, catalogue, mode);
    for (const finding of rules.flatMap((rule) => rule(path))) {
      const key = JSON.stringify([finding.rule, finding.stepId, finding.message]);
      const known = seen.get(key) ?? { finding, modes: [] };
      known.modes.push(mode);
      seen.set(key, known);
    }
  }
  return [...seen.values()].map(({ finding, modes: broken }) =>
    broken.length === modes.length ? finding : { ...finding, message: `${finding.message}, when ${broken.join(', ')}` },
  );
}
