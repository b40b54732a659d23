/** `npm run check`: format, lint, types and the quick tests, side by side, one line each. Meant for every commit. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../node24.mjs';

/** Folders with code. Lint gets them by name: given the whole checkout it would walk node_modules too. */
const folders = [
  ...['workflows', 'activities', 'worker', 'storage-node', 'runbooks', 'cli', 'console', 'sandbox'],
  ...['test', 'bench', 'scripts'],
].filter((folder) => existsSync(path.join(root, folder)));

const packageFile = (...parts: string[]): string => path.join(root, 'node_modules', ...parts);

/** Longest first, so that they end together on two cores. */
const checks: Record<string, string[]> = {
  tests: [path.join(root, 'scripts', 'testing', 'run-tests.ts'), 'test/unit', 'test/tidy'],
  lint: [packageFile('oxlint', 'bin', 'oxlint'), '--deny-warnings', ...folders],
  format: [
    packageFile('prettier', 'bin', 'prettier.cjs'),
    ...['--check', '--log-level=warn', '--cache', '--cache-location', packageFile('.cache', 'muster', 'prettier'), '.'],
  ],
  types: [
    packageFile('typescript', 'bin', 'tsc'),
    ...['-p', '.', '--incremental', '--tsBuildInfoFile', packageFile('.cache', 'muster', 'types.json')],
  ],
};

const seconds = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

async function main(): Promise<number> {
  const asked = process.argv.slice(2);
  const unknown = asked.find((name) => !(name in checks));
  if (unknown !== undefined) {
    console.error(`unknown check: ${unknown}\nusage: npm run check -- [${Object.keys(checks).join('] [')}]`);
    return 2;
  }
  const startedAtMs = performance.now();
  const waiting = Object.entries(checks).filter(([name]) => asked.length === 0 || asked.includes(name));
  const failed: string[] = [];
  const workOff = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (!(await check(...next))) failed.push(next[0]);
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, Math.min(4, os.availableParallelism())) }, workOff));
  const verdict = failed.length === 0 ? 'all checks passed' : `failed: ${failed.join(', ')}`;
  console.log(`${verdict}, ${seconds(startedAtMs)}`);
  return failed.length === 0 ? 0 : 1;
}

/** Runs one check; says how it went and, when it failed, what it printed. */
async function check(name: string, args: string[]): Promise<boolean> {
  const startedAtMs = performance.now();
  const { code, output } = await runNode(args);
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${name.padEnd(6)}  ${seconds(startedAtMs)}`);
  if (code !== 0) console.log(output.trimEnd().replaceAll(/^/gm, '    '));
  return code === 0;
}

function runNode(args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

process.exitCode = await main();
