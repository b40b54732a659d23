import { z } from 'zod';
import { chooseAmong, nearest } from './nearest.ts';
import { asMapping, own, type Problem } from './problems.ts';
import type { YamlPath } from './yaml-source.ts';

type Issue = z.core.$ZodIssue;

/**
 * What a schema finds wrong in a value, as problems with a fix. The fix comes from the schema itself: known keys for an
 * unknown one, the description of a field for a missing or mistyped one.
 */
export function schemaProblems(schema: z.ZodType, value: unknown, prefix: YamlPath = []): Problem[] {
  const parsed = schema.safeParse(value);
  if (parsed.success) return [];
  const problems = parsed.error.issues.flatMap((issue) => translate(schema, value, issue));
  return withoutEchoes(problems).map((problem) => ({ ...problem, path: [...prefix, ...problem.path] }));
}

type Found = Problem & { missing?: string; meant?: string };

function translate(schema: z.ZodType, root: unknown, issue: Issue): Found[] {
  const path = issue.path.map((segment) => (typeof segment === 'number' ? segment : String(segment)));
  if (issue.code === 'invalid_union') return eitherOr(schema, root, issue);
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(schema, path, key));
  const value = valueAt(root, path);
  const what = descriptionAt(schema, path);
  if (value === undefined) return [missingKey(path, what)];
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? issue.message;
    return [{ path, part: 'key', message: `bad name, ${message}`, fix: 'rename it' }];
  }
  return [{ path, part: 'value', ...describe(issue, value, what) }];
}

/** Of a value that may be written in two ways, what is wrong with the way it was written in. */
function eitherOr(schema: z.ZodType, root: unknown, issue: z.core.$ZodIssueInvalidUnion): Found[] {
  const isOtherWay = ({ path, code }: Issue): boolean => path.length === 0 && code === 'invalid_type';
  const meant = issue.errors.find((issues) => !issues.some(isOtherWay));
  if (meant !== undefined)
    return meant.flatMap((inner) => translate(schema, root, { ...inner, path: [...issue.path, ...inner.path] }));
  const path = issue.path.map((segment) => (typeof segment === 'number' ? segment : String(segment)));
  const message = `must be text or a mapping, is ${kindOf(valueAt(root, path))}`;
  return [{ path, part: 'value', message, fix: `write ${descriptionAt(schema, path) ?? 'one of them'}` }];
}

function unknownKey(schema: z.ZodType, path: YamlPath, key: string): Found {
  const known = keysAt(schema, path);
  const meant = nearest(key, known);
  const fix = chooseAmong(key, known, 'remove it; known here');
  const problem: Found = { path: [...path, key], part: 'key', message: 'unknown key', fix };
  return meant === null ? problem : { ...problem, meant };
}

function missingKey(path: YamlPath, what: string | undefined): Found {
  const key = String(path.at(-1) ?? '');
  const fix = what === undefined ? `add "${key}"` : `add "${key}": ${what}`;
  if (path.length === 0) return { path, part: 'value', message: 'the file is empty', fix: 'write a mapping' };
  return { path, part: 'value', message: 'missing', fix, missing: key };
}

function describe(issue: Issue, value: unknown, what: string | undefined): { message: string; fix: string } {
  const fix = what === undefined ? 'correct the value' : `write ${what}`;
  switch (issue.code) {
    case 'invalid_type':
      return { message: `must be ${typeText[issue.expected] ?? issue.expected}, is ${kindOf(value)}`, fix };
    case 'invalid_value': {
      const values = issue.values.map(String);
      const quoted = issue.values.map((v) => JSON.stringify(v)).join(', ');
      const meant = typeof value === 'string' ? nearest(value, values) : null;
      const one = values.length === 1 ? `must be ${quoted}` : `must be one of ${quoted}`;
      return { message: one, fix: meant === null ? fix : `did you mean "${meant}"?` };
    }
    case 'too_small':
      return { message: sizeText(issue, 'at least', 'more than', issue.minimum), fix };
    case 'too_big':
      return { message: sizeText(issue, 'at most', 'less than', issue.maximum), fix };
    default:
      return { message: issue.message, fix };
  }
}

const typeText: Partial<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function sizeText(
  { origin, inclusive }: { origin: string; inclusive?: boolean | undefined },
  orEqual: string,
  strictly: string,
  limit: number | bigint,
): string {
  if (limit === 1 && orEqual === 'at least' && (origin === 'string' || origin === 'array')) return 'must not be empty';
  const bound = `${inclusive === true ? orEqual : strictly} ${limit}`;
  return origin === 'string' || origin === 'array' ? `must have a length of ${bound}` : `must be ${bound}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a whole number' : 'a number';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
}

/** A misspelt key is one mistake, not two: the key that it was meant to be is not reported missing as well. */
function withoutEchoes(found: readonly Found[]): Problem[] {
  const parentOf = (problem: Found): string => JSON.stringify(problem.path.slice(0, -1));
  const meant = new Set(found.filter((f) => f.meant !== undefined).map((f) => `${parentOf(f)} ${f.meant}`));
  return found
    .filter((f) => f.missing === undefined || !meant.has(`${parentOf(f)} ${f.missing}`))
    .map(({ path, part, message, fix }) => ({ path, part, message, fix }));
}

function valueAt(root: unknown, path: YamlPath): unknown {
  return path.reduce<unknown>((value, segment) => {
    if (Array.isArray(value)) return typeof segment === 'number' ? (value[segment] as unknown) : undefined;
    return own(asMapping(value), String(segment));
  }, root);
}

function keysAt(schema: z.ZodType, path: YamlPath): string[] {
  const found = schemaAt(schema, path);
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}

function descriptionAt(schema: z.ZodType, path: YamlPath): string | undefined {
  const parent = schemaAt(schema, path.slice(0, -1));
  if (path.length === 0 || parent === undefined) return schema.description;
  const outer = childOf(parent, path.at(-1) ?? '');
  return outer?.description ?? (outer === undefined ? undefined : unwrap(outer).description);
}

function schemaAt(schema: z.ZodType, path: YamlPath): z.ZodType | undefined {
  return path.reduce<z.ZodType | undefined>((at, segment) => {
    const child = at === undefined ? undefined : childOf(at, segment);
    return child === undefined ? undefined : unwrap(child);
  }, unwrap(schema));
}

function childOf(schema: z.ZodType, segment: string | number): z.ZodType | undefined {
  if (schema instanceof z.ZodObject) return own(schema.shape as Record<string, z.ZodType>, String(segment));
  if (schema instanceof z.ZodRecord) return schema.valueType as z.ZodType;
  return schema instanceof z.ZodArray ? (schema.element as z.ZodType) : undefined;
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unwrap(schema.unwrap() as z.ZodType);
  if (!(schema instanceof z.ZodUnion)) return schema;
  const mapping = schema.options.find((option) => option instanceof z.ZodObject);
  return mapping ?? schema;
}
