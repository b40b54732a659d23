/** The npm packages: installed with `npm ci`, and only when package-lock.json is not the one that was installed. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bundledNode, root } from '../node24.mjs';
import { findOnPath, run } from './run.mjs';
import { SetupError, say, seconds } from './say.mjs';

const modules = path.join(root, 'node_modules');
const stampFile = path.join(modules, '.muster-setup.json');
const platform = `${process.platform}-${process.arch}`;

/** What the stamp must say for node_modules to be the right one: this lock file, on this kind of machine. */
function wantedStamp() {
  const lock = readFileSync(path.join(root, 'package-lock.json'));
  return JSON.stringify({ lock: createHash('sha256').update(lock).digest('hex'), platform });
}

/** `old`: other packages than package-lock.json asks for. `unknown`: installed, but not by set-up. */
export function packagesState() {
  const stamp = readIfThere(stampFile);
  if (stamp !== null) return stamp === wantedStamp() ? 'current' : 'old';
  return existsSync(path.join(modules, '.package-lock.json')) ? 'unknown' : 'missing';
}

/**
 * Installs the packages when they are not there yet. Call it under the lock of the checkout.
 * @param {(pid: number) => void} onStart
 */
export async function installPackages(onStart) {
  const state = packagesState();
  if (state === 'current') return;
  if (state === 'unknown' && isWhatTheLockSays()) return writeStamp();

  say(`installing the npm packages (npm ci)${state === 'old' ? ', package-lock.json has changed' : ''}`);
  const startedAtMs = Date.now();
  const npm = findNpm();
  await runNpm(npm.program, [...npm.args, 'ci'], onStart);
  const node24 = bundledNode();
  if (!isWhatTheLockSays() && node24 !== null && npm.args[0] !== undefined) {
    // An npm on Node 20.0 to 20.18 leaves out optional packages that ask for a later Node, among them the linter's.
    await runNpm(node24, [npm.args[0], 'install', '--no-save'], onStart);
  }
  writeStamp();
  say(`packages are installed, ${seconds(Date.now() - startedAtMs)}`);
}

/** @param {string} program @param {string[]} args @param {(pid: number) => void} onStart */
async function runNpm(program, args, onStart) {
  const options = ['--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  const startedAtMs = Date.now();
  const ended = await run(program, [...args, ...options], {
    cwd: root,
    onStart,
    limitMs: 20 * 60_000,
    onTick: (elapsedMs) => say(`still installing packages, ${seconds(elapsedMs)}`),
  });
  if (ended.ok) return;
  const why = ended.timedOut ? 'was ended' : `ended with code ${ended.code}`;
  const after = seconds(Date.now() - startedAtMs);
  throw new SetupError(
    `npm ${args.includes('ci') ? 'ci' : 'install'} ${why} after ${after}; it needs the npm registry.\n${ended.tail}`,
  );
}

function writeStamp() {
  writeFileSync(stampFile, wantedStamp());
}

/** Whether node_modules, as npm describes it, holds exactly what package-lock.json asks for on this machine. */
function isWhatTheLockSays() {
  const wanted = readLock(path.join(root, 'package-lock.json'));
  const present = readLock(path.join(modules, '.package-lock.json'));
  if (wanted === null || present === null) return false;
  for (const [name, entry] of Object.entries(present)) {
    if (entry.version !== wanted[name]?.version || !existsSync(path.join(root, name, 'package.json'))) return false;
  }
  // Optional packages of other machines are left out by npm, and only they may be.
  const forHere = (/** @type {string[] | undefined} */ list, /** @type {string} */ here) =>
    list?.includes(here) ?? true;
  return Object.entries(wanted).every(([name, entry]) => {
    if (name === '' || name in present) return true;
    // glibc is what the bundled Node and PostgreSQL need as well.
    const runsHere =
      forHere(entry.os, process.platform) && forHere(entry.cpu, process.arch) && forHere(entry.libc, 'glibc');
    return entry.optional === true && !runsHere;
  });
}

/** @typedef {{ version?: string, optional?: boolean, os?: string[], cpu?: string[], libc?: string[] }} LockEntry */

/** @param {string} file @returns {Record<string, LockEntry> | null} */
function readLock(file) {
  const text = readIfThere(file);
  if (text === null) return null;
  try {
    return JSON.parse(text).packages ?? null;
  } catch {
    return null;
  }
}

/** @param {string} file */
function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/**
 * The npm that runs this script, else the one on PATH. npm's own Node is used for it: ours lies in the folder that
 * `npm ci` is about to empty.
 */
export function findNpm() {
  const { npm_execpath: execPath, npm_node_execpath: node } = process.env;
  if (execPath !== undefined && /npm-cli\.c?js$/.test(execPath) && node !== undefined && !node.startsWith(modules)) {
    return { program: node, args: [execPath] };
  }
  const found = findOnPath('npm', modules);
  if (found === null) throw new SetupError('npm was not found on PATH; it comes with Node from https://nodejs.org');
  return { program: found, args: [] };
}
