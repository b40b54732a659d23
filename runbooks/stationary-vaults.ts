import type { DriverCatalogue } from '../workflows/engine/catalogue.ts';
import type { JsonObject, PlanResource } from '../workflows/engine/plan.ts';
import type { Vault } from '../workflows/engine/protection.ts';
import type { Estate, EstateResource, EstateService } from './estate.ts';
import { vaultOf } from './protection.ts';
import { isStationary } from './steps.ts';

interface Leaving {
  estate: Estate;
  service: EstateService;
  /** Site that is left. */
  from: string;
  catalogue: DriverCatalogue;
}

/**
 * A resource as a plan has it. One that no run moves is told its vaults, so that a runbook may save and restore it:
 * `vault`, where its backups go, and `survivingVault`, that one or a copy of it which does not lie at the site that is left.
 */
export function withVaults({ name, driver, sites, shared }: EstateResource, leaving: Leaving): PlanResource {
  const { estate, service, from, catalogue } = leaving;
  const plain = { name, driver, sites, shared };
  if (!isStationary(catalogue, driver)) return plain;
  const targets = service.backups.filter(({ resource }) => resource === name).map(({ to }) => to);
  const copies = targets.flatMap((to) => estate.vaults[to]?.copy?.to ?? []);
  const all = [...targets, ...copies].map((to) => vaultOf(estate, to));
  const vault = all.find(({ site }, at) => at < targets.length && site !== from) ?? all[0];
  const survivingVault = all.find(({ site }) => site !== from);
  return {
    ...plain,
    shared: {
      ...shared,
      ...(vault !== undefined && { vault: asJson(vault) }),
      ...(survivingVault !== undefined && { survivingVault: asJson(survivingVault) }),
    },
  };
}

const asJson = (vault: Vault): JsonObject => ({ ...vault });
