import type { PlanResource } from '../workflows/engine/plan.ts';
import { error, warning, type LintFinding, type PlanPath, type Rule } from './lint-path.ts';
import { movesWriter } from './steps.ts';

/** Rules about what no run moves. */
export const stationaryRules: readonly Rule[] = [saysWhatStays, restoresFromVault, notInDrills];

function stationaryOf({ plan, driverOf }: PlanPath): PlanResource[] {
  return plan.resources.filter(({ name }) => driverOf(name)?.stationary === true);
}

/** A plan never looks as if it moved something that it leaves behind. */
function saysWhatStays(path: PlanPath): LintFinding[] {
  const { plan, ofVerb } = path;
  if (!movesWriter(plan.kind)) return [];
  return stationaryOf(path)
    .filter(({ name }) => ofVerb('restore', name).length === 0)
    .map(({ name, driver }) =>
      warning(
        'not-moved',
        ofVerb('check', name)[0]?.id ?? null,
        `${name} (${driver}) is not moved: ${plan.to} has of it what was restored there`,
        `add "restore: ${name}" to a runbook, or restore it by hand (muster backups restore ${plan.service}/${name})`,
      ),
    );
}

function restoresFromVault(path: PlanPath): LintFinding[] {
  const { plan, mode, ofVerb } = path;
  return stationaryOf(path).flatMap(({ name, shared }) =>
    [...ofVerb('restore', name), ...ofVerb('backup', name)].flatMap(({ id, verb }) => {
      if (shared['vault'] === undefined) {
        const fix = `add { resource: ${name}, every: daily, to: … } to the backups of ${plan.service}`;
        return [error('restore-from-vault', id, `${name} is in no vault`, fix)];
      }
      if (verb !== 'restore' || mode !== 'ungraceful' || shared['survivingVault'] !== undefined) return [];
      const message = `the only vault of ${name} lies at ${plan.from}, which is lost on this path`;
      return [warning('vault-survives', id, message, 'give the vault a copy at another place (copyTo)')];
    }),
  );
}

/** A drill would write into the place of the real one. */
function notInDrills(path: PlanPath): LintFinding[] {
  if (path.plan.kind !== 'drill') return [];
  return stationaryOf(path).flatMap(({ name }) =>
    [...path.ofVerb('restore', name), ...path.ofVerb('backup', name)].map(({ id, verb }) =>
      error(
        'stationary-in-drill',
        id,
        `the drill would ${verb} ${name} for real`,
        'remove it: a restore test proves it',
      ),
    ),
  );
}
