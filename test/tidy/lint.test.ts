/** Every rule of .oxlintrc.json that is ours by choice is shown a file that breaks it: a rule that cannot bite is no rule. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

const root = path.join(import.meta.dirname, '..', '..');

/** `says: null` is a file that must pass. Every file exports `x`, so that the others may import it. */
const cases: { name: string; file: string; code: string; rule?: string; says: string | null }[] = [
  // Direction of imports: who may see whom.
  ...forbidden('workflows', 'A workflow is replayed', ['node:fs', 'pg', '@temporalio/client', 'zod']),
  ...forbidden('workflows', 'not even by type', [
    '../activities/x.ts',
    '../worker/x.ts',
    '../runbooks/x.ts',
    '../console/x.ts',
  ]),
  ...forbidden('workflows/engine', 'nothing but itself', ['zod', 'node:crypto', '@temporalio/workflow', '../x.ts']),
  ...forbidden('workflows/engine', 'nothing but itself', ['../../activities/x.ts']),
  ...forbidden('runbooks', 'from text alone', ['node:net', 'pg']),
  ...forbidden('runbooks', 'without a connection', ['../activities/x.ts', '../worker/x.ts', '../cli/x.ts']),
  ...forbidden('runbooks', 'not their business', ['../workflows/x.ts']),
  ...forbidden('activities', 'and are told the rest', [
    '../worker/x.ts',
    '../cli/x.ts',
    '../runbooks/x.ts',
    '../sandbox/x.ts',
  ]),
  ...forbidden('activities/drivers/postgres', 'and are told the rest', [
    '../../../console/x.ts',
    '../../../worker/x.ts',
  ]),
  ...forbidden('activities', 'not the workflows that call them', ['../workflows/x.ts']),
  ...forbidden('worker', 'never the other way', ['../cli/x.ts', '../console/x.ts', '../sandbox/x.ts', '../test/x.ts']),
  ...forbidden('console', 'neither the command line nor the sandbox', ['../cli/x.ts', '../sandbox/x.ts']),
  ...forbidden('sandbox', 'neither the command line nor the console', ['../cli/x.ts', '../console/x.ts']),
  ...forbidden('cli', 'built and tested with', ['../test/x.ts', '../bench/x.ts', '../scripts/x.ts']),
  ...forbidden('storage-node', 'imports no other folder', [
    '../workflows/engine/x.ts',
    '../activities/x.ts',
    '../worker/x.ts',
  ]),
  ...allowed('workflows', ['@temporalio/workflow', '@temporalio/common', './engine/x.ts']),
  ...allowed('runbooks', ['zod', 'yaml', 'node:crypto', 'node:fs', '../workflows/engine/x.ts']),
  ...allowed('activities/drivers/postgres', ['pg', '../../../workflows/engine/x.ts', '../../x.ts']),
  ...allowed('worker', ['../activities/x.ts', '../runbooks/x.ts', '../workflows/engine/x.ts', '@temporalio/worker']),
  ...allowed('console', ['../worker/x.ts', '../runbooks/x.ts']),
  ...allowed('sandbox', ['../worker/x.ts', '../activities/x.ts']),
  ...allowed('cli', ['../worker/x.ts', '../console/x.ts', '../sandbox/x.ts', '../runbooks/x.ts']),
  ...allowed('storage-node', ['node:fs', 'undici']),
  ...allowed('test', ['../cli/x.ts', '../workflows/x.ts']),
  {
    name: 'a direction is also held for types, for re-exports and for import()',
    file: 'workflows/ways.ts',
    code: "export type { x } from '../activities/x.ts';\nexport const later = async (): Promise<unknown> => import('../worker/x.ts');",
    rule: 'eslint(no-restricted-imports)',
    says: 'not even by type',
  },

  // Promises and errors.
  {
    name: 'an activity that nobody awaits',
    file: 'workflows/unawaited.ts',
    code: [
      "import { proxyActivities } from '@temporalio/workflow';",
      "const { fence } = proxyActivities<{ fence(site: string): Promise<void> }>({ startToCloseTimeout: '1s' });",
      "export async function failover(): Promise<void> {\n  fence('hangzhou');\n  await fence('beijing');\n}",
    ].join('\n'),
    rule: 'typescript(no-floating-promises)',
    says: 'Promises must be awaited',
  },
  {
    name: 'tests need no await before test, describe and it',
    file: 'test/plain.ts',
    code: [
      "import { describe, it, test } from 'node:test';",
      "test('a', async () => {});\ndescribe('b', () => {\n  it('c', async () => {});\n});",
    ].join('\n'),
    says: null,
  },
  {
    name: 'a promise where a yes or no is asked for',
    file: 'worker/misused.ts',
    code: "const open = async (): Promise<boolean> => true;\nexport const state = open() ? 'open' : 'closed';",
    rule: 'typescript(no-misused-promises)',
    says: 'Promise',
  },
  {
    name: 'a switch that forgets a kind',
    file: 'worker/switch.ts',
    code: [
      "export function word(kind: 'met' | 'missed' | 'unknown'): string {",
      "  switch (kind) {\n    case 'met':\n      return 'yes';\n    case 'missed':\n      return 'no';\n  }\n  return '';\n}",
    ].join('\n'),
    rule: 'typescript(switch-exhaustiveness-check)',
    says: 'unknown',
  },
  {
    name: 'something thrown that is no Error',
    file: 'worker/thrown.ts',
    code: "export function stop(): never {\n  throw 'stopped';\n}",
    rule: 'typescript(only-throw-error)',
    says: 'error object',
  },

  // Modules and size.
  {
    name: 'a type imported as a value',
    file: 'worker/typed.ts',
    code: "import { Pool } from 'pg';\nexport const close = (pool: Pool): Promise<void> => pool.end();",
    rule: 'typescript(consistent-type-imports)',
    says: 'type',
  },
  {
    name: 'any',
    file: 'worker/any.ts',
    code: 'export const read = (row: any): string => String(row);',
    rule: 'typescript(no-explicit-any)',
    says: 'any',
  },
  {
    name: 'two files that import each other',
    file: 'worker/hen.ts',
    code: "import { egg } from './egg.ts';\nexport const hen = (): unknown => egg;",
    rule: 'import(no-cycle)',
    says: 'cycle',
  },
  {
    name: 'and the other of the two',
    file: 'worker/egg.ts',
    code: "import { hen } from './hen.ts';\nexport const egg = (): unknown => hen;",
    rule: 'import(no-cycle)',
    says: 'cycle',
  },
  {
    name: 'a default export',
    file: 'worker/unnamed.ts',
    code: 'export default 1;',
    rule: 'import(no-default-export)',
    says: 'named exports',
  },
  {
    name: 'a comparison that converts',
    file: 'worker/equal.ts',
    code: 'export const same = (a: string, b: string): boolean => a == b;',
    rule: 'eslint(eqeqeq)',
    says: '===',
  },
  {
    name: 'a function of 71 lines',
    file: 'worker/long.ts',
    code: long(71),
    rule: 'eslint(max-lines-per-function)',
    says: '71',
  },
  { name: 'a function of 70 lines', file: 'worker/fits.ts', code: long(70), says: null },
  { name: 'a test may be longer', file: 'test/long.ts', code: long(90), says: null },
  {
    name: 'five parameters',
    file: 'worker/params.ts',
    code: 'export const sum = (a: number, b: number, c: number, d: number, e: number): number => a + b + c + d + e;',
    rule: 'eslint(max-params)',
    says: '5',
  },
];

function forbidden(folder: string, says: string, imports: string[]): typeof cases {
  return imports.map((from) => ({
    ...importing(folder, from, 'may not'),
    rule: 'eslint(no-restricted-imports)',
    says,
  }));
}

function allowed(folder: string, imports: string[]): typeof cases {
  return imports.map((from) => ({ ...importing(folder, from, 'may'), says: null }));
}

function importing(folder: string, from: string, verdict: string): { name: string; file: string; code: string } {
  const file = `${folder}/imports-${from.replaceAll(/\W+/g, '-')}.ts`;
  return {
    name: `${folder} ${verdict} import ${from}`,
    file,
    code: `import * as all from '${from}';\nexport { all };`,
  };
}

/** A function whose text takes this many lines. */
function long(lines: number): string {
  const body = Array.from({ length: lines - 3 }, () => '  total += 1;').join('\n');
  return `export function count(total: number): number {\n${body}\n  return total;\n}`;
}

interface Finding {
  filename: string;
  code: string;
  message: string;
  help?: string;
}

let checkout: string;
let findings: Finding[];

before(() => {
  checkout = mkdtempSync(path.join(tmpdir(), 'muster-lint-'));
  for (const name of ['.oxlintrc.json', 'tsconfig.json'])
    copyFileSync(path.join(root, name), path.join(checkout, name));
  symlinkSync(path.join(root, 'node_modules'), path.join(checkout, 'node_modules'));
  const tops = [
    'activities',
    'worker',
    'storage-node',
    'runbooks',
    'cli',
    'console',
    'sandbox',
    'bench',
    'scripts',
    'test',
  ];
  for (const folder of ['workflows', 'workflows/engine', ...tops]) write(`${folder}/x.ts`, 'export const x = 1;');
  for (const { file, code } of cases) write(file, code);
  const args = [path.join(root, 'node_modules', 'oxlint', 'bin', 'oxlint'), '--format=json', 'workflows', ...tops];
  const ended = spawnSync(process.execPath, args, { cwd: checkout, encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.match(ended.stdout, /^\{/, `oxlint did not run: ${ended.stdout}${ended.stderr}`);
  findings = (JSON.parse(ended.stdout) as { diagnostics: Finding[] }).diagnostics;
});

after(() => rmSync(checkout, { recursive: true, force: true }));

function write(file: string, code: string): void {
  mkdirSync(path.join(checkout, path.dirname(file)), { recursive: true });
  writeFileSync(path.join(checkout, file), `${code}\n`);
}

for (const { name, file, rule, says } of cases) {
  test(`lint: ${name}`, () => {
    const here = findings.filter((finding) => finding.filename === file);
    const rules = [...new Set(here.map((finding) => finding.code))];
    assert.deepEqual(rules, says === null ? [] : [rule]);
    const text = here.map((finding) => `${finding.message} ${finding.help ?? ''}`).join('\n');
    assert.ok(says === null || text.includes(says), `"${says}" is not in: ${text}`);
  });
}
