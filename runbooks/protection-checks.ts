import type { DriverCatalogue, DriverDescription } from '../workflows/engine/catalogue.ts';
import { findCycle } from './graph.ts';
import { hasTimeOfDay, intervalPattern, longestGapSeconds, spanSeconds } from './intervals.ts';
import { chooseAmong } from './nearest.ts';
import { asMapping, own, type Mapping, type Problem } from './problems.ts';
import { isReference } from './secrets.ts';
import type { YamlPath } from './yaml-source.ts';

/** Below this a vault would do nothing but read itself. */
const leastVerifyWithinSeconds = 3_600;
/** Locks are renewed four times while they last. */
const leastLockSeconds = 3_600;
/** Temporal makes up for no less. Source: `ScheduleOptions.policies.catchupWindow`. */
const leastCatchUpSeconds = 10;

/** What of the vaults the schema cannot see: sites and vaults that must exist, copies that lead in a circle, addresses. */
export function vaultProblems(vaults: Mapping, sites: readonly string[]): Problem[] {
  const copies = copiesOf(vaults);
  const problems = Object.entries(vaults).flatMap(([name, value]) => {
    const vault = asMapping(value);
    if (vault === null) return [];
    const path = ['vaults', name];
    return [
      ...placeProblems(vault, path, sites),
      ...copyProblems(vault, name, Object.keys(vaults)),
      ...turnProblems(vault, path, copies.get(name)),
    ];
  });
  return [...problems, ...circleProblems(vaults)];
}

function placeProblems(vault: Mapping, path: YamlPath, sites: readonly string[]): Problem[] {
  const { repository, site } = vault;
  const problems: Problem[] = [];
  if (typeof repository === 'string' && repository !== '' && !isReference(repository) && !isPlace(repository)) {
    const fix = 'write a directory from the root (/backup/vault), s3://bucket/prefix, oss://bucket/prefix, or env:NAME';
    problems.push({ path: [...path, 'repository'], part: 'value', message: 'no place that a vault can lie at', fix });
  }
  if (typeof site === 'string' && site !== '' && !sites.includes(site)) {
    const fix = chooseAmong(site, sites, 'write one of the sites');
    problems.push({ path: [...path, 'site'], part: 'value', message: `no site is named "${site}"`, fix });
  }
  return problems;
}

/** A directory that does not start at the root would be another one in every process. */
function isPlace(repository: string): boolean {
  if (/^(env|file):/.test(repository)) return true; // secretProblems speaks of it
  return /^(\/|local:\/|s3:\/\/.|oss:\/\/.|s3:.+\/.)/.test(repository);
}

function copyProblems(vault: Mapping, name: string, vaults: readonly string[]): Problem[] {
  const { copyTo, copyEvery } = vault;
  const path = ['vaults', name];
  if (copyTo === undefined) {
    if (copyEvery === undefined) return [];
    const fix = 'add "copyTo": the name of another vault';
    return [{ path: [...path, 'copyEvery'], part: 'key', message: 'there is no copy to bring up to date', fix }];
  }
  if (typeof copyTo !== 'string' || copyTo === '') return [];
  const others = vaults.filter((vault) => vault !== name);
  if (others.includes(copyTo)) return [];
  const message = copyTo === name ? 'is the vault itself' : `no vault is named "${copyTo}"`;
  const fix = chooseAmong(copyTo, others, others.length === 0 ? 'add a second vault' : 'write another vault');
  return [{ path: [...path, 'copyTo'], part: 'value', message, fix }];
}

function turnProblems(vault: Mapping, path: YamlPath, copyOf: string | undefined): Problem[] {
  const { verifyWithin, lock, prune } = vault;
  const problems: Problem[] = [];
  if (typeof lock === 'string' && spanSeconds(lock) < leastLockSeconds) {
    const message = 'is over before it could be renewed';
    problems.push({ path: [...path, 'lock'], part: 'value', message, fix: 'write 1h or more, e.g. 30d' });
  }
  if (typeof verifyWithin === 'string' && spanSeconds(verifyWithin) < leastVerifyWithinSeconds) {
    const message = 'leaves no time to read a vault';
    problems.push({ path: [...path, 'verifyWithin'], part: 'value', message, fix: 'write 1h or more, e.g. 30d' });
  }
  if (prune !== undefined && copyOf !== undefined) {
    const message = `is a copy of "${copyOf}" and follows it`;
    problems.push({ path: [...path, 'prune'], part: 'key', message, fix: `remove it, and prune "${copyOf}"` });
  }
  return problems;
}

/** By name of the copy, the vault that it is a copy of. */
function copiesOf(vaults: Mapping): Map<string, string> {
  const pairs = Object.entries(vaults).flatMap(([name, vault]): [string, string][] => {
    const to = own(asMapping(vault), 'copyTo');
    return typeof to === 'string' && to !== name ? [[to, name]] : [];
  });
  return new Map(pairs);
}

function circleProblems(vaults: Mapping): Problem[] {
  const edges = Object.entries(vaults).map(([name, vault]): [string, string[]] => {
    const to = own(asMapping(vault), 'copyTo');
    return [name, typeof to === 'string' && to !== name && Object.hasOwn(vaults, to) ? [to] : []];
  });
  const cycle = findCycle(new Map(edges));
  const [first] = cycle ?? [];
  if (cycle === null || first === undefined) return [];
  const message = `these vaults are copies of each other: ${cycle.join(' -> ')}`;
  return [{ path: ['vaults', first, 'copyTo'], part: 'key', message, fix: 'remove one of these copies' }];
}

/** What of a service's backups the schema cannot see. */
export function backupProblems(
  { path, service, catalogue }: { path: YamlPath; service: Mapping; catalogue: DriverCatalogue },
  vaults: Mapping,
): Problem[] {
  const resources = asMapping(service['resources']) ?? {};
  const backups = Array.isArray(service['backups']) ? service['backups'].map(asMapping) : [];
  const seen = new Set<string>();
  return backups.flatMap((backup, index): Problem[] => {
    if (backup === null) return [];
    const at = [...path, 'backups', index];
    const pair = JSON.stringify([backup['resource'], backup['to']]);
    const isSecond = seen.has(pair) && typeof backup['resource'] === 'string';
    seen.add(pair);
    const twice: Problem[] = isSecond
      ? [{ path: at, part: 'value', message: 'the same resource to the same vault again', fix: 'keep one of the two' }]
      : [];
    return [
      ...twice,
      ...resourceProblems(backup, at, resources, catalogue),
      ...targetProblems(backup, at, vaults),
      ...referenceProblems(backup, at, resources),
      ...timeProblems(backup, at),
      ...keepProblems(backup, at),
      ...proofProblems(backup, at),
    ];
  });
}

/** Two drills of one kind would share a schedule. */
export function drillProblems({ path, service }: { path: YamlPath; service: Mapping }): Problem[] {
  const kinds = (Array.isArray(service['drills']) ? service['drills'] : []).map((drill) =>
    own(asMapping(drill), 'kind'),
  );
  return kinds.flatMap((kind, index): Problem[] => {
    if (typeof kind !== 'string' || kinds.indexOf(kind) === index) return [];
    const fix = 'keep one of the two';
    return [{ path: [...path, 'drills', index, 'kind'], part: 'value', message: `a second ${kind} drill`, fix }];
  });
}

function resourceProblems(backup: Mapping, at: YamlPath, resources: Mapping, catalogue: DriverCatalogue): Problem[] {
  const name = backup['resource'];
  if (typeof name !== 'string' || name === '') return [];
  const path = [...at, 'resource'];
  if (!Object.hasOwn(resources, name)) {
    const fix = chooseAmong(name, Object.keys(resources), 'write one of the resources');
    return [{ path, part: 'value', message: `no resource is named "${name}"`, fix }];
  }
  const kind = own(asMapping(resources[name]), 'driver');
  const driver = typeof kind === 'string' ? own(catalogue, kind) : undefined;
  if (driver === undefined) return [];
  if (!holdsData(driver)) {
    const holders = Object.keys(resources).filter((other) => keepsData(resources[other], catalogue));
    const fix = holders.length === 0 ? 'remove this backup' : `write one that does: ${holders.join(', ')}`;
    return [{ path, part: 'value', message: `"${name}" (${driver.kind}) holds no data`, fix }];
  }
  if (backup['wal'] === undefined || driver.kind === 'postgres') return [];
  const message = `"${name}" (${driver.kind}) has no write-ahead log`;
  return [{ path: [...at, 'wal'], part: 'key', message, fix: 'remove it' }];
}

/** Rows refer to objects of a bucket that is backed up, too; and only rows do. */
function referenceProblems(backup: Mapping, at: YamlPath, resources: Mapping): Problem[] {
  const references = Array.isArray(backup['references']) ? backup['references'].map(asMapping) : [];
  const driverOf = (name: string): unknown => own(asMapping(own(resources, name)), 'driver');
  const name = backup['resource'];
  if (
    references.length > 0 &&
    typeof name === 'string' &&
    Object.hasOwn(resources, name) &&
    driverOf(name) !== 'postgres'
  ) {
    const message = `"${name}" has no rows that could refer to objects`;
    return [{ path: [...at, 'references'], part: 'key', message, fix: 'write them at the backup of the database' }];
  }
  const buckets = Object.keys(resources).filter((one) => driverOf(one) === 'bucket');
  return references.flatMap((reference, index): Problem[] => {
    const bucket = reference?.['bucket'];
    if (typeof bucket !== 'string' || bucket === '' || buckets.includes(bucket)) return [];
    const fix = chooseAmong(bucket, buckets, buckets.length === 0 ? 'remove it' : 'write one of the buckets');
    const message = `no bucket of the service is named "${bucket}"`;
    return [{ path: [...at, 'references', index, 'bucket'], part: 'value', message, fix }];
  });
}

function keepsData(resource: unknown, catalogue: DriverCatalogue): boolean {
  const kind = own(asMapping(resource), 'driver');
  const driver = typeof kind === 'string' ? own(catalogue, kind) : undefined;
  return driver !== undefined && holdsData(driver);
}

function holdsData({ stateful, stationary = false }: DriverDescription): boolean {
  return stateful || stationary;
}

function targetProblems(backup: Mapping, at: YamlPath, vaults: Mapping): Problem[] {
  const name = backup['to'];
  if (typeof name !== 'string' || name === '') return [];
  const path = [...at, 'to'];
  if (!Object.hasOwn(vaults, name)) {
    const fix = chooseAmong(name, Object.keys(vaults), 'write one of the vaults');
    const none = `add it: vaults: { ${/^[\w-]+$/.test(name) ? name : 'vault'}: { repository: …, password: env:… } }`;
    const hint = Object.keys(vaults).length === 0 ? none : fix;
    return [{ path, part: 'value', message: `no vault is named "${name}"`, fix: hint }];
  }
  const source = copiesOf(vaults).get(name);
  if (source === undefined) return [];
  const message = `"${name}" is a copy of "${source}"`;
  return [{ path, part: 'value', message, fix: `write "${source}": the copy gets it from there` }];
}

function timeProblems(backup: Mapping, at: YamlPath): Problem[] {
  const { every, catchUp, jitter } = backup;
  const problems = [
    ...dayProblems(backup, at),
    ...dayProblems(asMapping(backup['restoreTest']) ?? {}, [...at, 'restoreTest']),
  ];
  if (typeof catchUp === 'string' && spanSeconds(catchUp) < leastCatchUpSeconds) {
    const message = `nothing shorter than ${leastCatchUpSeconds} s is made up for`;
    problems.push({ path: [...at, 'catchUp'], part: 'value', message, fix: 'write 10s or more, e.g. 1h' });
  }
  const gap = typeof every === 'string' ? longestGapSeconds(every) : Number.NaN;
  if (typeof jitter === 'string' && spanSeconds(jitter) > gap / 2) {
    const fix = 'write less than half the interval';
    problems.push({ path: [...at, 'jitter'], part: 'value', message: 'is longer than half the interval', fix });
  }
  return problems;
}

function dayProblems({ every, at: time }: Mapping, at: YamlPath): Problem[] {
  if (time === undefined || typeof every !== 'string') return [];
  if (!intervalPattern.test(every) || hasTimeOfDay(every)) return [];
  const message = `${every} has no time of day`;
  return [{ path: [...at, 'at'], part: 'key', message, fix: 'remove it, or write daily or longer' }];
}

function keepProblems(backup: Mapping, at: YamlPath): Problem[] {
  const keep = asMapping(backup['keep']);
  if (keep === null) return [];
  const values = Object.values(keep);
  if (values.length === 0 || !values.every((value) => value === 0)) return [];
  const fix = 'keep one at least, e.g. { last: 7 }, or remove "keep" to keep all';
  return [{ path: [...at, 'keep'], part: 'value', message: 'keeps nothing', fix }];
}

function proofProblems(backup: Mapping, at: YamlPath): Problem[] {
  const proof = asMapping(backup['restoreTest']);
  if (proof === null) return [];
  const path = [...at, 'restoreTest'];
  const problems: Problem[] = [];
  if (proof['target'] === 'latest' && backup['wal'] === undefined) {
    const fix = 'add "wal: stream" to the backup, or write point';
    const message = 'nothing archives the log that it would be brought up to date with';
    problems.push({ path: [...path, 'target'], part: 'value', message, fix });
  }
  const checks = asMapping(proof['checks']);
  const rows = own(checks, 'rows');
  for (const [index, row] of (Array.isArray(rows) ? rows.map(asMapping) : []).entries()) {
    const [min, max] = [own(row, 'min'), own(row, 'max')];
    if (typeof min !== 'number' || typeof max !== 'number' || min <= max) continue;
    const where = [...path, 'checks', 'rows', index, 'max'];
    problems.push({ path: where, part: 'value', message: `is less than min (${min})`, fix: 'exchange the two' });
  }
  if (own(checks, 'start') !== undefined && own(checks, 'http') === undefined) {
    const fix = 'add "http": what to ask of it, or remove "start"';
    problems.push({ path: [...path, 'checks', 'start'], part: 'key', message: 'nothing is asked of it', fix });
  }
  return problems;
}
