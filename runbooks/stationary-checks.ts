import type { DriverCatalogue, DriverDescription } from '../workflows/engine/catalogue.ts';
import { asMapping, own, type Mapping, type Problem } from './problems.ts';

interface Scope {
  path: string[];
  service: Mapping;
  catalogue: DriverCatalogue;
}

/** What of the resources that no run moves the schema cannot see: somebody must read them, and something must be moved. */
export function stationaryProblems({ path, service, catalogue }: Scope, sites: Mapping): Problem[] {
  const resources = Object.entries(asMapping(service['resources']) ?? {});
  const driverOf = (resource: unknown): DriverDescription | undefined => {
    const kind = own(asMapping(resource), 'driver');
    return typeof kind === 'string' ? own(catalogue, kind) : undefined;
  };
  const stationary = resources.filter(([, resource]) => driverOf(resource)?.stationary === true);
  if (stationary.length === 0) return [];
  const at = [...path, 'resources'];
  const problems: Problem[] = [];
  if (stationary.length === resources.length) {
    const message = 'nothing in it is moved by a failover: a directory stays where it is';
    const fix = 'put the directory into the service whose database or bucket it belongs to';
    problems.push({ path: at, part: 'key', message, fix });
  }
  for (const [name] of stationary) problems.push(...agentProblems([...at, name], service, sites));
  return problems;
}

/** Only an agent sees the files of its site. */
function agentProblems(path: string[], service: Mapping, sites: Mapping): Problem[] {
  return [service['primary'], service['standby']].flatMap((site): Problem[] => {
    const there = typeof site === 'string' ? asMapping(own(sites, site)) : null;
    if (typeof site !== 'string' || there === null || own(there, 'agent') !== undefined) return [];
    const message = `lies at ${site}, which has no agent to read it`;
    const fix = `add "agent": its address to the site ${site}`;
    return [{ path: [...path, site], part: 'key', message, fix }];
  });
}
