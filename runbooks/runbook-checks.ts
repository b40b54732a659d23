import type { DriverCatalogue } from '../workflows/engine/catalogue.ts';
import type { Verb } from '../workflows/engine/plan.ts';
import type { Estate, EstateService } from './estate.ts';
import { chooseAmong } from './nearest.ts';
import { asMapping, own, type Mapping, type Problem } from './problems.ts';
import {
  gateSchema,
  notifySchema,
  parallelSchema,
  runbookSchema,
  stepSchema,
  stepVerbs,
  variantSchema,
  waitSchema,
} from './runbook-schema.ts';
import { schemaProblems } from './schema-problems.ts';
import { secretProblems, secretsFirst } from './secrets.ts';
import { defaultId } from './steps.ts';
import type { YamlPath } from './yaml-source.ts';

export type ItemKind = 'gate' | 'wait' | 'notify' | 'parallel' | 'step';

const itemSchemas = {
  gate: gateSchema,
  wait: waitSchema,
  notify: notifySchema,
  parallel: parallelSchema,
  step: stepSchema,
};

export function itemKind(item: Mapping): ItemKind {
  return (['parallel', 'gate', 'wait', 'notify'] as const).find((kind) => Object.hasOwn(item, kind)) ?? 'step';
}

export function verbOf(item: Mapping): Verb | undefined {
  return stepVerbs.find((verb) => Object.hasOwn(item, verb));
}

/** Everything that is wrong in a runbook, shape and meaning, as far as each part can be understood. */
export function runbookProblems(file: unknown, estate: Estate, catalogue: DriverCatalogue): Problem[] {
  const root = asMapping(file);
  const problems = schemaProblems(runbookSchema, file);
  if (root === null) return problems;
  const name = root['service'];
  const service = typeof name === 'string' ? own(estate.services, name) : undefined;
  if (typeof name === 'string' && name !== '' && service === undefined) {
    const fix = chooseAmong(name, Object.keys(estate.services), `write a service of ${estate.fileName}`);
    problems.push({ path: ['service'], part: 'value', message: `no service is named "${name}"`, fix });
  }
  const items = numberItems(Array.isArray(root['steps']) ? root['steps'].flatMap(unfold) : []);
  const ids = new Set(items.flatMap((item) => item.id ?? []));
  const scope: Scope = { service, catalogue, ids, earlier: new Set() };
  problems.push(...items.flatMap((item) => itemProblems(scope, item)));
  return secretsFirst(secretProblems(file), problems);
}

interface Scope {
  service: EstateService | undefined;
  catalogue: DriverCatalogue;
  /** All ids of the runbook, and those of the items above the present one. */
  ids: ReadonlySet<string>;
  earlier: Set<string>;
}

interface Item {
  path: YamlPath;
  value: unknown;
  inGroup: boolean;
  /** Given or by default; null when the item is too broken to have one. */
  id: string | null;
}

/** A group is followed by its members: they are items of their own, one level deep. */
function unfold(value: unknown, index: number): Item[] {
  const group: Item = { path: ['steps', index], value, inGroup: false, id: null };
  const members = own(asMapping(value), 'parallel');
  if (!Array.isArray(members)) return [group];
  return [
    group,
    ...members.map((member, i) => ({ path: [...group.path, 'parallel', i], value: member, inGroup: true, id: null })),
  ];
}

/** Gates, waits and messages without an id of their own are numbered in the order of the file. */
function numberItems(items: readonly Item[]): Item[] {
  const counts: Partial<Record<ItemKind, number>> = {};
  return items.map((item) => {
    const mapping = asMapping(item.value);
    if (mapping === null) return item;
    const kind = itemKind(mapping);
    if (kind === 'parallel') return item;
    const number = (counts[kind] ?? 0) + 1;
    counts[kind] = number;
    return { ...item, id: givenId(mapping) ?? (kind === 'step' ? stepId(mapping) : `${kind}-${number}`) };
  });
}

function givenId(item: Mapping): string | null {
  return typeof item['id'] === 'string' ? item['id'] : null;
}

function stepId(item: Mapping): string | null {
  const verb = verbOf(item);
  const resource = verb === undefined ? undefined : item[verb];
  return verb !== undefined && typeof resource === 'string' ? defaultId(verb, resource) : null;
}

function itemProblems(scope: Scope, { path, value, inGroup, id }: Item): Problem[] {
  const item = asMapping(value);
  if (item === null)
    return [{ path, part: 'value', message: 'not a step', fix: 'write a verb and a resource, e.g. "- fence: orders"' }];
  const kind = itemKind(item);
  if (kind === 'parallel' && inGroup) {
    const fix = 'move its steps up into the outer group';
    return [{ path: [...path, 'parallel'], part: 'key', message: 'a group stands inside a group', fix }];
  }
  const found = schemaProblems(itemSchemas[kind], item, path);
  // `approve` is a verb of the engine but not of a step: it has a better answer than "unknown key".
  const shape = found.filter((problem) => kind !== 'step' || problem.path.at(-1) !== 'approve');
  if (kind === 'parallel') return shape;
  const meaning = [...idProblems(scope, path, item, id), ...modeProblems(path, item, kind)];
  return [...shape, ...(kind === 'step' ? verbProblems(scope, path, item, shape) : []), ...meaning];
}

function verbProblems(scope: Scope, path: YamlPath, item: Mapping, shape: readonly Problem[]): Problem[] {
  const named = stepVerbs.filter((verb) => Object.hasOwn(item, verb));
  const [verb, second] = named;
  if (verb === undefined) {
    if (Object.hasOwn(item, 'approve'))
      return [
        {
          path: [...path, 'approve'],
          part: 'key',
          message: 'people are asked by gates',
          fix: 'write "- gate: question"',
        },
      ];
    if (shape.some((problem) => problem.message === 'unknown key')) return [];
    return [
      {
        path,
        part: 'value',
        message: 'nothing to do is named',
        fix: `write one of ${stepVerbs.join(', ')}, gate, parallel`,
      },
    ];
  }
  if (second !== undefined) {
    const message = `a step does one thing, here are ${named.join(' and ')}`;
    return [{ path: [...path, second], part: 'key', message, fix: 'write one step for each' }];
  }
  return resourceProblems(scope, [...path, verb], verb, item[verb]);
}

function resourceProblems({ service, catalogue }: Scope, path: YamlPath, verb: Verb, name: unknown): Problem[] {
  if (service === undefined || typeof name !== 'string' || name === '') return [];
  const resource = service.resources.find((r) => r.name === name);
  if (resource === undefined) {
    const fix = chooseAmong(
      name,
      service.resources.map((r) => r.name),
      `write a resource of ${service.name}`,
    );
    return [{ path, part: 'value', message: `no resource of ${service.name} is named "${name}"`, fix }];
  }
  const known = Object.keys(own(catalogue, resource.driver)?.verbs ?? {});
  if (known.includes(verb)) return [];
  const message = `driver ${resource.driver} (of ${name}) cannot ${verb}`;
  return [{ path, part: 'key', message, fix: `it can: ${known.join(', ')}` }];
}

/** Ids are unique, and `after` names what stands above: so a runbook cannot hold a cycle. */
function idProblems(scope: Scope, path: YamlPath, item: Mapping, id: string | null): Problem[] {
  const problems = afterProblems(scope, path, item);
  if (id === null) return problems;
  if (scope.earlier.has(id)) {
    const at = givenId(item) === null ? path : [...path, 'id'];
    const message = `a second step has the id "${id}"`;
    problems.push({ path: at, part: 'value', message, fix: 'give this one an id of its own: "id: another-name"' });
  }
  scope.earlier.add(id);
  return problems;
}

function afterProblems({ ids, earlier }: Scope, path: YamlPath, item: Mapping): Problem[] {
  const after = Array.isArray(item['after']) ? item['after'] : [];
  return after.flatMap((id: unknown, index): Problem[] => {
    if (typeof id !== 'string' || id === '' || earlier.has(id)) return [];
    const message = ids.has(id) ? `step "${id}" does not stand above this one` : `no step has the id "${id}"`;
    const fix = ids.has(id) ? 'move that step up' : chooseAmong(id, [...earlier], 'write the id of a step above');
    return [{ path: [...path, 'after', index], part: 'value', message, fix }];
  });
}

function modeProblems(path: YamlPath, item: Mapping, kind: ItemKind): Problem[] {
  const problems: Problem[] = [];
  for (const mode of ['graceful', 'ungraceful'] as const) {
    const variant = item[mode];
    if (variant === undefined || variant === false) continue;
    const at = [...path, mode];
    if (kind === 'step' && asMapping(variant) !== null) problems.push(...schemaProblems(variantSchema, variant, at));
    else {
      const may = kind === 'step' ? 'false (not in this mode) or a mapping like { within: 10s }' : 'false';
      problems.push({ path: at, part: 'value', message: `must be ${may}`, fix: `write ${may}, or remove it` });
    }
  }
  if (item['graceful'] === false && item['ungraceful'] === false)
    problems.push({
      path: [...path, 'ungraceful'],
      part: 'key',
      message: 'the step would never run',
      fix: 'remove one of the two',
    });
  return problems;
}
