/** What a reader may rely on in every file of this repository, and no linter checks. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { errorsPage } from '../../scripts/errors-page.ts';
import { operationsPage } from '../../scripts/operations-page.ts';

const root = path.join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

const left = ['node_modules', '.git', '.muster'];
const files = readdirSync(root, { withFileTypes: true })
  .filter((entry) => !left.includes(entry.name) && !entry.name.endsWith('.log'))
  .flatMap((entry) => (entry.isDirectory() ? filesBelow(entry.name) : [entry.name]));
const code = files.filter((file) => /\.(ts|mjs)$/.test(file));
const texts = files.filter((file) => /\.(ts|mjs|md|ya?ml|json|sql|html|css)$|(^|\/)(run|\.npmrc)$/.test(file));
const folders = [...new Set(code.map((file) => path.dirname(file)))].filter((folder) => folder !== '.');

function filesBelow(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

/** Lines that match, as `file:line: text`. */
function linesWith(pattern: RegExp, among: string[]): string[] {
  return among.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
}

test('the list of files is not empty, so that no check below passes over nothing', () => {
  assert.ok(code.length > 20 && texts.includes('package.json') && texts.includes('docs/errors.md'));
});

test('docs/errors.md says what the catalogue of errors says', () => {
  assert.equal(read('docs/errors.md'), errorsPage(), 'run: node scripts/run.mjs scripts/errors-doc.ts --write');
});

test('docs/storage-operations.md says what the route table of storage nodes says', () => {
  const fix = 'run: node scripts/run.mjs scripts/operations-doc.ts --write';
  assert.equal(read('docs/storage-operations.md'), operationsPage(), fix);
});

test('no file of code is longer than 400 lines', () => {
  const long = code
    .filter((file) => !file.startsWith('test/'))
    .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines > 400);
  assert.deepEqual(long, []);
});

test('nothing is left to do in a comment', () => {
  // Written apart, so that this line does not find itself.
  assert.deepEqual(linesWith(new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`), texts), []);
});

test('no file knows the machine it was written on', () => {
  const quoted = (place: string): string => place.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const home = `${quoted(os.homedir())}/[\\w.]`;
  const somebody = String.raw`/(home|Users)/[a-z][\w.-]*/`;
  // `/app` is everybody's; a checkout that lies deeper is this machine's.
  const checkout = root.split('/').length > 2 ? [`${quoted(root)}\\b`] : [];
  assert.deepEqual(linesWith(new RegExp([home, somebody, ...checkout].join('|')), texts), []);
});

test('the engine has no clock, no chance, no process and nothing from outside', () => {
  const engine = code.filter((file) => file.startsWith('workflows/engine/'));
  assert.ok(engine.length > 0);
  const outside =
    /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.|\bcrypto\b|\bprocess\.|\bglobalThis\b|\bconsole\.|\bset(Timeout|Interval|Immediate)\(|\bfetch\(|\brequire\(|\bimport\(|\bawait\b|\basync\b/;
  assert.deepEqual(linesWith(outside, engine), []);
  assert.deepEqual(linesWith(/\bfrom '(?!\.\/)/, engine), []);
});

test('every folder with code is named in docs/ARCHITECTURE.md', (t) => {
  if (!existsSync(path.join(root, 'docs', 'ARCHITECTURE.md'))) return t.skip('docs/ARCHITECTURE.md is not written yet');
  const page = read('docs/ARCHITECTURE.md');
  // What is shipped is named to the second level, the rest by its top.
  const depth = (folder: string): number => (/^(test|bench|scripts)\b/.test(folder) ? 1 : 2);
  const named = new Set(folders.map((folder) => folder.split('/').slice(0, depth(folder)).join('/')));
  const unnamed = [...named].filter((folder) => !page.includes(`${path.basename(folder)}/`));
  assert.deepEqual(unnamed, []);
  assert.ok(page.split('\n').length <= 151, 'docs/ARCHITECTURE.md is at most 150 lines');
});

test('every decision fits on a page and says what spoke for it and against the others', () => {
  const decisions = files.filter((file) => file.startsWith('docs/adr/')).toSorted();
  assert.deepEqual(
    decisions.map((file) => Number(path.basename(file).slice(0, 4))),
    decisions.map((_, index) => index + 1),
  );
  for (const file of decisions) {
    const titles = read(file).match(/^##? .*/gm) ?? [];
    assert.match(titles[0] ?? '', new RegExp(`^# ${Number(path.basename(file).slice(0, 4))}\\. `), file);
    assert.deepEqual(titles.slice(1), ['## Context', '## Decision', '## Consequence', '## Rejected'], file);
    assert.ok(read(file).split('\n').length <= 60, `${file} is longer than a page`);
  }
});

test('workflows/index.ts names what it exports', (t) => {
  if (!existsSync(path.join(root, 'workflows', 'index.ts'))) return t.skip('workflows/index.ts is not written yet');
  // Every export becomes a workflow type: with a star, a helper would become one unnoticed.
  assert.deepEqual(linesWith(/export \*|export default/, ['workflows/index.ts']), []);
  assert.match(read('workflows/index.ts'), /^export \{/m);
});

test('every script of package.json and every file it starts is there', () => {
  const { scripts, bin } = JSON.parse(read('package.json')) as Record<'scripts' | 'bin', Record<string, string>>;
  const started = [...Object.values(scripts), ...Object.values(bin)].flatMap(
    (line) => line.match(/[\w./-]+\.(mjs|ts)\b/g) ?? [],
  );
  const missing = started.filter((file) => !existsSync(path.join(root, file)));
  assert.deepEqual(missing, []);
});

test('Node 24 and PostgreSQL are pinned for the same four kinds of machine, exactly', () => {
  const { optionalDependencies } = JSON.parse(read('package.json')) as { optionalDependencies: Record<string, string> };
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version: string }> };
  for (const [name, version] of Object.entries(optionalDependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+/, name);
    assert.equal(lock.packages[`node_modules/${name}`]?.version, version, name);
  }
  for (const machine of ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']) {
    const names = Object.keys(optionalDependencies).filter((name) => name.endsWith(machine));
    assert.equal(names.length, 2, `${machine}: ${names.join(' ')}`);
  }
});

test('the lock file holds the native parts for all four kinds of machine, not only for the one it was made on', () => {
  const lock = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const present = Object.keys(lock.packages).map((place) => place.replace(/^.*node_modules\//, ''));
  const wanted = Object.values(lock.packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => /(darwin|linux)-(x64|arm64)(-gnu)?$/.test(name));
  assert.ok(wanted.length > 0);
  assert.deepEqual(
    wanted.filter((name) => !present.includes(name)),
    [],
  );
});
