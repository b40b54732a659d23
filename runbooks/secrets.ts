import { asMapping, type Problem } from './problems.ts';
import type { YamlPath } from './yaml-source.ts';

/** Keys whose value is a secret whatever it looks like. */
const secretKey = /(token|password|passwd|passphrase|secret|credentials?|api[-_]?key|private[-_]?key|secret[-_]?key)$/i;
/** `scheme://user:password@host`, `password=...` in a connection string or a query. */
const secretInText = /:\/\/[^\s/@]*:[^\s@]+@|\b(ssl)?password\s*=/i;
const startsLikeReference = /^(env|file):/;
const reference = /^(env:[A-Za-z_][A-Za-z0-9_]*|file:\S(.*\S)?)$/;

/** Whether a value is `env:NAME` or `file:path`, to be resolved by the process that needs it. */
export function isReference(value: string): boolean {
  return reference.test(value);
}

/** Secrets that stand in a file as plain values, and references that name nothing. The values are never quoted. */
export function secretProblems(value: unknown, path: YamlPath = []): Problem[] {
  const mapping = asMapping(value);
  if (mapping !== null) return Object.entries(mapping).flatMap(([key, item]) => secretProblems(item, [...path, key]));
  if (Array.isArray(value)) return value.flatMap((item, index) => secretProblems(item, [...path, index]));
  const problem = scalarProblem(value, path);
  return problem === null ? [] : [{ path, part: 'value', ...problem }];
}

/** All problems of a file: where a secret stands in plain text, that is the one thing said about that place. */
export function secretsFirst(secrets: readonly Problem[], others: readonly Problem[]): Problem[] {
  const places = new Set(secrets.map((problem) => JSON.stringify(problem.path)));
  return [...secrets, ...others.filter((problem) => !places.has(JSON.stringify(problem.path)))];
}

function scalarProblem(value: unknown, path: YamlPath): { message: string; fix: string } | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const text = String(value);
  const name = variableName(path);
  if (startsLikeReference.test(text)) {
    if (isReference(text)) return null;
    return { message: 'a reference that names nothing', fix: `write env:NAME (letters, digits, _) or file:/path` };
  }
  const key = path.findLast((segment) => typeof segment === 'string') ?? '';
  if (!secretKey.test(key) && !secretInText.test(text)) return null;
  const message = secretKey.test(key)
    ? 'a secret stands here as a plain value'
    : 'a password stands here in plain text';
  return {
    message,
    fix: `put it elsewhere and write a reference: env:${name} or file:/run/secrets/${name.toLowerCase()}`,
  };
}

/** services.shop.resources.entry.token -> MUSTER_SHOP_ENTRY_TOKEN */
function variableName(path: YamlPath): string {
  const words = path.filter(
    (segment) => typeof segment === 'string' && !['services', 'sites', 'resources', 'vaults'].includes(segment),
  );
  return ['muster', ...words]
    .join('_')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toUpperCase();
}
