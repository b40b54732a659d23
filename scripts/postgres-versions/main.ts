/**
 * `npm run test:postgres-versions [-- 14 17]`: fetches each major version of PostgreSQL that Muster works with (once, see
 * fetch.ts) and runs test/backup/postgres/versions.test.ts against it, two versions at a time. Ends with 1 when a test
 * failed or a version could not be had.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { nodeFlags, root } from '../node24.mjs';
import { fetchRelease } from './fetch.ts';
import { releases } from './releases.ts';

const file = path.join(root, 'test', 'backup', 'postgres', 'versions.test.ts');
/** Of npm's packages for this machine; it is there already. */
const bundledMajor = 18;
const atOnce = 2;

/** A version to try: by its major, and how the tests are told. */
interface Turn {
  major: number;
  name: string;
  fetch(): Promise<unknown>;
}

function turnsFor(wanted: readonly number[]): Turn[] {
  const all: Turn[] = [
    { major: bundledMajor, name: 'bundled', fetch: () => Promise.resolve() },
    ...releases.map((release) => {
      return { major: release.major, name: String(release.major), fetch: () => fetchRelease(release) };
    }),
  ];
  return all.filter(({ major }) => wanted.length === 0 || wanted.includes(major));
}

/** What the tests of a version print, and whether all of them passed. */
async function runTests(name: string): Promise<{ passed: boolean; output: string }> {
  const env = { ...process.env, MUSTER_POSTGRES_VERSIONS: name };
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  const child = spawn(process.execPath, [...nodeFlags, '--test', '--test-reporter=spec', file], {
    ...{ stdio, env, cwd: root },
  });
  let output = '';
  const keep = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { passed: code === 0, output };
}

/** One version's totals are no news beside its verdict, and are not to be taken for those of `npm test`. */
function withoutTotals(output: string): string {
  const lines = output.trimEnd().split('\n');
  return lines.filter((line) => !line.startsWith('ℹ ')).join('\n');
}

async function take({ major, name, fetch }: Turn): Promise<boolean> {
  const startedAt = performance.now();
  try {
    await fetch();
  } catch (err) {
    console.error(`PostgreSQL ${major}: ${err instanceof Error ? err.message : String(err)}`);
    return false;
  }
  const fetchSeconds = (performance.now() - startedAt) / 1000;
  const { passed, output } = await runTests(name);
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(withoutTotals(output));
  const verdict = passed ? 'passed' : 'FAILED';
  console.log(
    `PostgreSQL ${major}: ${verdict} in ${seconds.toFixed(0)} s, ${fetchSeconds.toFixed(0)} s of it to fetch\n`,
  );
  return passed;
}

async function main(): Promise<number> {
  const turns = turnsFor(process.argv.slice(2).map(Number));
  if (releases.length === 0) console.log(`npm has no other version for ${process.platform}-${process.arch}`);
  if (turns.length === 0) return 2;
  let passed = true;
  const lane = async (): Promise<void> => {
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) passed = (await take(turn)) && passed;
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return passed ? 0 : 1;
}

process.exitCode = await main();
