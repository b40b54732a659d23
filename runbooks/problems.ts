import { MusterError } from '../workflows/engine/errors.ts';
import type { YamlPath, YamlSource } from './yaml-source.ts';

/** One thing that is wrong in a file. Neither text ever quotes a value that may be a secret. */
export interface Problem {
  path: YamlPath;
  /** What of the path to point at: the key itself (unknown, missing below it) or its value. */
  part: 'key' | 'value';
  message: string;
  fix: string;
}

/** Throws one MusterError that lists all problems, one per line, in the order of the file; returns when there are none. */
export function refuseProblems(
  source: YamlSource,
  problems: readonly Problem[],
  code: 'ESTATE_INVALID' | 'RUNBOOK_INVALID',
): void {
  if (problems.length === 0) return;
  const placed = problems.map((problem) => ({ problem, at: source.locate(problem.path, problem.part) }));
  placed.sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column);
  const texts = placed.map(({ problem, at }) => {
    const path = problem.path.length === 0 ? '' : `${pathText(problem.path)}: `;
    return `${source.fileName}:${at.line}:${at.column}: ${path}${problem.message}. Fix: ${problem.fix}`;
  });
  throw new MusterError(code, [...new Set(texts)].join('\n'));
}

/** `services.shop.resources.orders.tables[0]`; a key that is no plain name may be a lost value and is not quoted. */
export function pathText(path: YamlPath): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === 'number') return `${text}[${segment}]`;
    const name = /^[\w.-]{1,60}$/.test(segment) ? segment : '(this key)';
    return text === '' ? name : `${text}.${name}`;
  }, '');
}

export type Mapping = Record<string, unknown>;

/** The value when it is a mapping (not a list, not null), else null: checks go on over half-broken input. */
export function asMapping(value: unknown): Mapping | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : null;
}

/** The value at a key of its own (never one inherited from Object). */
export function own<T>(record: Readonly<Record<string, T>> | null, key: string): T | undefined {
  return record !== null && Object.hasOwn(record, key) ? record[key] : undefined;
}
