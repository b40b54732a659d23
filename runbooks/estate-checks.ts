import type { DriverCatalogue, DriverDescription } from '../workflows/engine/catalogue.ts';
import type { Json } from '../workflows/engine/plan.ts';
import { copyProblems } from './copies-checks.ts';
import { policyDefaults } from './estate-schema.ts';
import { findCycle } from './graph.ts';
import { chooseAmong, nearest } from './nearest.ts';
import { asMapping, own, type Mapping, type Problem } from './problems.ts';
import { stationaryProblems } from './stationary-checks.ts';
import { backupProblems, drillProblems, vaultProblems } from './protection-checks.ts';
import { isReference } from './secrets.ts';
import type { YamlPath } from './yaml-source.ts';

/** Names that mean something else where site names stand: the control plane, and the keys of a resource. */
const reservedSiteNames = ['control', 'driver', 'after'];

/** What the schema cannot see: names that must exist, cycles, objectives that cannot be met, the drivers' own parts. */
export function estateProblems(file: unknown, catalogue: DriverCatalogue): Problem[] {
  const root = asMapping(file);
  if (root === null) return [];
  const sites = Object.keys(asMapping(root['sites']) ?? {});
  const vaults = asMapping(root['vaults']) ?? {};
  const services = Object.entries(asMapping(root['services']) ?? {});
  const problems = [
    ...siteProblems(root, sites),
    ...urlProblems(own(asMapping(root['control']), 'url'), ['control', 'url']),
    ...vaultProblems(vaults, sites),
    ...copyProblems(asMapping(root['copies']) ?? {}, sites),
  ];
  if (asMapping(root['services']) !== null && services.length === 0)
    problems.push({
      path: ['services'],
      part: 'key',
      message: 'no service is named',
      fix: 'add the service to protect',
    });
  for (const [name, value] of services) {
    const service = asMapping(value);
    if (service === null) continue;
    const scope = { path: ['services', name], service, sites, catalogue };
    problems.push(
      ...pairProblems(scope),
      ...objectiveProblems(scope),
      ...resourceProblems(scope),
      ...stationaryProblems(scope, asMapping(root['sites']) ?? {}),
      ...backupProblems(scope, vaults),
      ...drillProblems(scope),
    );
  }
  return problems;
}

interface Scope {
  path: string[];
  service: Mapping;
  sites: readonly string[];
  catalogue: DriverCatalogue;
}

function siteProblems(root: Mapping, sites: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  for (const name of sites) {
    const path = ['sites', name];
    if (reservedSiteNames.includes(name))
      problems.push({ path, part: 'key', message: `"${name}" is a reserved word`, fix: 'name the site otherwise' });
    const site = asMapping(own(asMapping(root['sites']), name));
    problems.push(...urlProblems(own(site, 'agent'), [...path, 'agent']));
  }
  if (asMapping(root['sites']) !== null && sites.length < 2) {
    const message = `${sites.length === 0 ? 'no site is' : 'only one site is'} named`;
    problems.push({ path: ['sites'], part: 'key', message, fix: 'name two sites at least' });
  }
  return problems;
}

function urlProblems(value: unknown, path: YamlPath): Problem[] {
  if (typeof value !== 'string' || value === '' || isReference(value) || /^(env|file):/.test(value)) return [];
  const protocol = URL.canParse(value) ? new URL(value).protocol : '';
  if (protocol === 'http:' || protocol === 'https:') return [];
  return [
    { path, part: 'value', message: 'not an http(s) URL', fix: 'write http://host:port, or a reference env:NAME' },
  ];
}

function pairProblems({ path, service, sites }: Scope): Problem[] {
  const problems: Problem[] = [];
  const { primary, standby } = service;
  for (const [role, name] of Object.entries({ primary, standby })) {
    if (typeof name !== 'string' || name === '' || sites.includes(name)) continue;
    const fix = chooseAmong(name, sites, 'write one of the sites');
    problems.push({ path: [...path, role], part: 'value', message: `no site is named "${name}"`, fix });
  }
  if (typeof primary === 'string' && primary === standby) {
    const others = sites.filter((site) => site !== primary);
    const fix = others.length === 0 ? 'add a second site' : `write another site: ${others.join(', ')}`;
    problems.push({ path: [...path, 'standby'], part: 'value', message: `is the primary itself (${primary})`, fix });
  }
  return problems;
}

/** Sources: `probeSeconds` until the loss is seen, `holdSeconds` of waiting, the old writer's lease of `leaseSeconds`. */
function objectiveProblems({ path, service }: Scope): Problem[] {
  const rtoSeconds = own(asMapping(service['objectives']), 'rtoSeconds');
  const policy = asMapping(service['policy']);
  const secondsOf = (key: 'probeSeconds' | 'holdSeconds' | 'leaseSeconds'): number => {
    const value = own(policy, key);
    return typeof value === 'number' && value >= 0 ? value : policyDefaults[key];
  };
  if (typeof rtoSeconds !== 'number' || !(rtoSeconds > 0)) return [];
  const [probe, hold, lease] = [secondsOf('probeSeconds'), secondsOf('holdSeconds'), secondsOf('leaseSeconds')];
  const floor = Math.round((probe + hold + lease) * 1000) / 1000;
  if (rtoSeconds > floor) return [];
  const parts = `probeSeconds ${probe} + holdSeconds ${hold} + leaseSeconds ${lease} = ${floor} s`;
  const message = `${rtoSeconds} s cannot be met: ${parts} pass before anything can be promoted`;
  const fix = `raise rtoSeconds above ${floor}, or lower these in the policy`;
  return [{ path: [...path, 'objectives', 'rtoSeconds'], part: 'value', message, fix }];
}

function resourceProblems(scope: Scope): Problem[] {
  const resources = asMapping(scope.service['resources']);
  if (resources === null) return [];
  const path = [...scope.path, 'resources'];
  if (Object.keys(resources).length === 0)
    return [{ path, part: 'key', message: 'no resource is named', fix: 'add what is to be moved, e.g. a database' }];
  const problems = Object.entries(resources).flatMap(([name, value]) => {
    const resource = asMapping(value);
    return resource === null ? [] : oneResource(scope, [...path, name], resource);
  });
  return [...problems, ...afterProblems(resources, path)];
}

function oneResource(scope: Scope, path: string[], resource: Mapping): Problem[] {
  const kind = resource['driver'];
  if (typeof kind !== 'string' || kind === '') return [];
  const driver = own(scope.catalogue, kind);
  if (driver === undefined) {
    const fix = chooseAmong(kind, Object.keys(scope.catalogue), 'write one of the drivers');
    return [{ path: [...path, 'driver'], part: 'value', message: `no driver is named "${kind}"`, fix }];
  }
  return driverProblems(scope, path, resource, driver);
}

function driverProblems(scope: Scope, path: string[], resource: Mapping, driver: DriverDescription): Problem[] {
  const pair = pairOf(scope, resource);
  const problems: Problem[] = [];
  const part: Mapping = {};
  for (const [key, value] of Object.entries(resource)) {
    if (key === 'driver' || key === 'after') continue;
    const meant = misspeltSite(key, value, resource, pair);
    if (meant !== null)
      problems.push({ path: [...path, key], part: 'key', message: 'unknown site', fix: `did you mean "${meant}"?` });
    const stranger = !pair.includes(key) && scope.sites.includes(key);
    if (stranger) {
      const message = 'a site that this service does not use';
      problems.push({ path: [...path, key], part: 'key', message, fix: `remove it, or use it as primary or standby` });
    } else part[meant ?? key] = value;
  }
  const found = driver.validate(part as Json, pair);
  return [...problems, ...found.map((p) => fromDriver(path, resource, p))];
}

/** The service's two sites; while they are not named right, the sites that the resource itself speaks of. */
function pairOf({ service, sites }: Scope, resource: Mapping): string[] {
  const { primary, standby } = service;
  const named = [primary, standby].filter((site) => typeof site === 'string').filter((site) => sites.includes(site));
  return named.length === 2 && primary !== standby ? named : sites.filter((site) => Object.hasOwn(resource, site));
}

/** A mapping under a name close to a site's that is not there itself: the site's part with a slip in its name. */
function misspeltSite(key: string, value: unknown, resource: Mapping, pair: readonly string[]): string | null {
  if (asMapping(value) === null || pair.includes(key)) return null;
  return nearest(
    key,
    pair.filter((site) => !Object.hasOwn(resource, site)),
  );
}

/** An unknown key is pointed at itself, a missing one at what it is missing from. */
function fromDriver(
  path: string[],
  resource: Mapping,
  found: { path: (string | number)[]; message: string; fix: string },
): Problem {
  const parent = found.path.slice(0, -1).reduce<unknown>((at, key) => own(asMapping(at), String(key)), resource);
  const there = own(asMapping(parent), String(found.path.at(-1) ?? '')) !== undefined;
  const part = there && !/\bunknown\b|\bno setting\b|unrecogni[sz]ed/i.test(found.message) ? 'value' : 'key';
  return { path: [...path, ...found.path], part, message: found.message, fix: found.fix };
}

function afterProblems(resources: Mapping, path: string[]): Problem[] {
  const names = Object.keys(resources);
  const edges = new Map(names.map((name) => [name, afterOf(resources[name])]));
  const problems: Problem[] = [];
  for (const [name, after] of edges) {
    for (const [index, other] of after.entries()) {
      if (names.includes(other)) continue;
      const fix = chooseAmong(
        other,
        names.filter((n) => n !== name),
        'write one of the resources',
      );
      problems.push({
        path: [...path, name, 'after', index],
        part: 'value',
        message: `no resource is named "${other}"`,
        fix,
      });
    }
  }
  const cycle = findCycle(edges);
  const [first] = cycle ?? [];
  if (cycle !== null && first !== undefined) {
    const message = `these resources wait for each other: ${cycle.join(' -> ')}`;
    problems.push({ path: [...path, first, 'after'], part: 'key', message, fix: 'remove one of these dependencies' });
  }
  return problems;
}

function afterOf(resource: unknown): string[] {
  const after = own(asMapping(resource), 'after');
  return Array.isArray(after) ? after.filter((item) => typeof item === 'string') : [];
}
