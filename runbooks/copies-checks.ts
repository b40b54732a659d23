import { hasTimeOfDay, intervalPattern } from './intervals.ts';
import { chooseAmong } from './nearest.ts';
import { asMapping, type Mapping, type Problem } from './problems.ts';
import { isReference } from './secrets.ts';
import type { YamlPath } from './yaml-source.ts';

const conditions = ['prefix', 'include', 'minSize', 'maxSize', 'minAge', 'maxAge', 'tag'];

/** What of the copies the schema cannot see: addresses, sites, and settings that exclude each other. */
export function copyProblems(copies: Mapping, sites: readonly string[]): Problem[] {
  return Object.entries(copies).flatMap(([name, value]) => {
    const copy = asMapping(value);
    if (copy === null) return [];
    const path = ['copies', name];
    return [
      ...placeProblems(copy, path, sites),
      ...(copy['direction'] === 'both' ? pairProblems(copy, path) : deleteProblems(copy, path)),
      ...timeProblems(copy, path),
      ...ruleProblems(copy, path),
    ];
  });
}

function placeProblems(copy: Mapping, path: YamlPath, sites: readonly string[]): Problem[] {
  const { from, to, site } = copy;
  const problems: Problem[] = [];
  for (const [key, address] of Object.entries({ from, to })) {
    if (typeof address !== 'string' || address === '' || isPlace(address)) continue;
    const fix = 'write s3://bucket/prefix?endpoint=…, oss://bucket/prefix?region=…, or env:NAME';
    problems.push({ path: [...path, key], part: 'value', message: 'no place that objects can lie at', fix });
  }
  if (typeof from === 'string' && from !== '' && from === to)
    problems.push({
      path: [...path, 'to'],
      part: 'value',
      message: 'is the source itself',
      fix: 'write another bucket',
    });
  if (typeof site === 'string' && site !== '' && !sites.includes(site)) {
    const fix = chooseAmong(site, sites, 'write one of the sites');
    problems.push({ path: [...path, 'site'], part: 'value', message: `no site is named "${site}"`, fix });
  }
  return problems;
}

/** A reference that is none is spoken of elsewhere. */
function isPlace(address: string): boolean {
  return isReference(address) || /^(env|file):/.test(address) || /^(s3|oss):\/\/[^/?]/i.test(address);
}

function pairProblems(copy: Mapping, path: YamlPath): Problem[] {
  const whys: Record<string, string> = {
    versions: 'the histories of two writers cannot be joined',
    tag: 'a tag that is taken away would read as a delete',
    rules: 'are for what goes one way',
    delete: 'is what a pair does anyway: deletes are writes like others',
    overwrite: 'is decided by "conflicts"',
    storageClass: 'would go back and forth',
  };
  return Object.entries(whys).flatMap(([key, message]): Problem[] => {
    if (copy[key] === undefined || copy[key] === false) return [];
    return [{ path: [...path, key], part: 'key', message, fix: 'remove it, or remove "direction: both"' }];
  });
}

function deleteProblems(copy: Mapping, path: YamlPath): Problem[] {
  const { delete: deletes, deleteGuard, versions, conflicts } = copy;
  if (conflicts !== undefined) {
    const message = 'one way there are none';
    return [{ path: [...path, 'conflicts'], part: 'key', message, fix: 'add "direction: both", or remove it' }];
  }
  if (deletes !== true && deleteGuard !== undefined) {
    const message = 'nothing is deleted that it could guard';
    return [{ path: [...path, 'deleteGuard'], part: 'key', message, fix: 'add "delete: true", or remove it' }];
  }
  if (deletes !== true || versions !== true) return [];
  const message = 'versions that are gone at the source stay at the target: that is what they are for';
  return [{ path: [...path, 'delete'], part: 'key', message, fix: 'remove it, or remove "versions"' }];
}

function timeProblems({ every, at }: Mapping, path: YamlPath): Problem[] {
  if (at === undefined || typeof every !== 'string' || !intervalPattern.test(every) || hasTimeOfDay(every)) return [];
  const message = `${every} has no time of day`;
  return [{ path: [...path, 'at'], part: 'key', message, fix: 'remove it, or write daily or longer' }];
}

function ruleProblems(copy: Mapping, path: YamlPath): Problem[] {
  const { rules, to } = copy;
  const all = Array.isArray(rules) ? rules.map(asMapping) : [];
  if (rules === undefined) {
    if (to !== undefined) return [];
    return [{ path: [...path, 'to'], part: 'value', message: 'missing', fix: 'add "to": where the objects go' }];
  }
  const problems = all.flatMap((rule, i) =>
    rule === null ? [] : oneRule(rule, [...path, 'rules', i], all.slice(0, i)),
  );
  const migrates = all.some((rule) => rule?.['migrate'] !== undefined);
  if (migrates && to === undefined)
    problems.push({ path, part: 'key', message: 'a rule migrates to nowhere', fix: 'add "to": where the objects go' });
  if (!migrates && to !== undefined && all.length > 0)
    problems.push({ path: [...path, 'to'], part: 'key', message: 'no rule migrates there', fix: 'remove it' });
  for (const key of ['delete', 'versions', ...conditions, 'exclude']) {
    if (copy[key] === undefined || copy[key] === false) continue;
    const fix = conditions.includes(key) || key === 'exclude' ? 'write it in the rules it is meant for' : 'remove it';
    problems.push({ path: [...path, key], part: 'key', message: 'goes with no rules', fix });
  }
  return problems;
}

function oneRule(rule: Mapping, path: YamlPath, before: readonly (Mapping | null)[]): Problem[] {
  const { name, tier, migrate } = rule;
  const problems: Problem[] = [];
  if (typeof name === 'string' && before.some((other) => other?.['name'] === name))
    problems.push({ path: [...path, 'name'], part: 'value', message: `a second rule "${name}"`, fix: 'rename it' });
  if ((tier === undefined) === (migrate === undefined)) {
    const message = tier === undefined ? 'does nothing' : 'has two actions';
    const fix = 'write one of "tier: <storage class>" and "migrate: { keepSource: … }"';
    problems.push({ path, part: 'value', message, fix });
  }
  const has = conditions.some((key) => isCondition(rule[key]));
  if (!has) {
    const fix = `add one: ${conditions.join(', ')}`;
    problems.push({ path, part: 'value', message: 'has no condition and would take the whole bucket', fix });
  }
  return problems;
}

function isCondition(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  const mapping = asMapping(value);
  return mapping === null ? value !== undefined : Object.keys(mapping).length > 0;
}
