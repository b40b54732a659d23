import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import { type FilterRule } from '../../activities/mover/run/filter.ts';
import { copyProblems } from '../../runbooks/copies-checks.ts';
import { buildCopy } from '../../runbooks/copies-estate.ts';
import { copySchema } from '../../runbooks/copies-schema.ts';
import { asMapping, type Problem, refuseProblems } from '../../runbooks/problems.ts';
import { schemaProblems } from '../../runbooks/schema-problems.ts';
import { readYaml } from '../../runbooks/yaml-source.ts';
import { type CopyFilter, type CopyLeg } from '../../workflows/engine/copying.ts';
import { MusterError } from '../../workflows/engine/errors.ts';

/** The rules are those of a copy of the estate, so that they can move there as they are. */
const fileSchema = z.strictObject({
  to: copySchema.shape.to,
  rules: copySchema.shape.rules.unwrap(),
});

/** One rule as the file has it; where a `migrate` goes is said once for all. */
export interface FileRule {
  name: string;
  filter: FilterRule;
  action: { kind: 'tier'; storageClass: string } | { kind: 'migrate'; keepSource: boolean };
}
export interface RulesFile {
  to: string | undefined;
  rules: FileRule[];
}

/**
 * Reads the rules of a lifecycle.
 * @throws CONFIG_INVALID naming everything that is wrong, one line each: file:line:column, path, fix
 */
export function loadRules(file: string): RulesFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MusterError('CONFIG_INVALID', `--rules: ${file} cannot be read. Fix: name an existing file`, { cause });
  }
  return parseRules(text, basename(file));
}

/** As `loadRules`, from text. */
export function parseRules(text: string, fileName: string): RulesFile {
  try {
    const source = readYaml(text, fileName, 'RUNBOOK_INVALID');
    const problems = [...schemaProblems(fileSchema, source.value), ...ruleProblems(source.value)];
    refuseProblems(source, problems, 'RUNBOOK_INVALID');
    const { to, rules } = fileSchema.parse(source.value);
    const { legs } = buildCopy('lifecycle', copySchema.parse({ from: 'env:SOURCE', to, rules }));
    return { to, rules: legs.map(ruleOf) };
  } catch (err) {
    if (err instanceof MusterError) throw new MusterError('CONFIG_INVALID', err.message, { cause: err });
    throw err;
  }
}

/** What the schema cannot see, as in an estate, but for where it stands there. */
function ruleProblems(value: unknown): Problem[] {
  const file = asMapping(value);
  if (file === null) return [];
  return copyProblems({ lifecycle: file }, []).map(({ path, ...problem }) => ({ ...problem, path: path.slice(2) }));
}

function ruleOf(leg: CopyLeg): FileRule {
  const rule = { name: leg.name, filter: filterOf(leg.filter) };
  if (leg.kind === 'tier') return { ...rule, action: { kind: 'tier', storageClass: leg.storageClass } };
  return { ...rule, action: { kind: 'migrate', keepSource: leg.kind !== 'copy' || !leg.removeSource } };
}

function filterOf(filter: CopyFilter): FilterRule {
  const { prefix, include, exclude, tags, minSizeBytes, maxSizeBytes, minAgeSeconds, maxAgeSeconds } = filter;
  return {
    ...(prefix === '' ? {} : { prefix }),
    ...(include.length === 0 ? {} : { include }),
    ...(exclude.length === 0 ? {} : { exclude }),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    ...(minSizeBytes === null ? {} : { minSizeBytes }),
    ...(maxSizeBytes === null ? {} : { maxSizeBytes }),
    ...(minAgeSeconds === null ? {} : { minAgeMs: minAgeSeconds * 1_000 }),
    ...(maxAgeSeconds === null ? {} : { maxAgeMs: maxAgeSeconds * 1_000 }),
  };
}
