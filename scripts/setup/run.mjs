/** Finds and runs programs: with a time limit, a sign of life while they work, nothing left behind on an interrupt. */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';

/** @typedef {{ ok: boolean, code: number | null, timedOut: boolean, output: string, tail: string }} Ended */
/**
 * @typedef {object} RunOptions
 * @property {number} limitMs the program is ended after this long
 * @property {string} [cwd]
 * @property {Record<string, string | undefined>} [env] added to the environment; undefined takes a name out of it
 * @property {(elapsedMs: number, output: string) => boolean | void} [onTick] called every tickMs; false ends the program
 * @property {number} [tickMs]
 * @property {(pid: number) => void} [onStart]
 */

/** @type {Set<number>} Process groups that are running now. */
const groups = new Set();

/** Ends every program that is still running. */
export function endAll() {
  for (const group of groups) endGroup(group, 'SIGTERM');
}

/** @param {number} group @param {NodeJS.Signals} signal */
function endGroup(group, signal) {
  try {
    process.kill(-group, signal);
  } catch {
    // It has ended by itself.
  }
}

/**
 * Runs a program to its end. Never rejects: a program that cannot be started is `ok: false` with the reason as output.
 * @param {string} program @param {string[]} args @param {RunOptions} options
 * @returns {Promise<Ended>}
 */
export function run(program, args, options) {
  return new Promise((resolve) => {
    const env = { ...process.env, ...options.env };
    for (const name of Object.keys(env)) if (env[name] === undefined) delete env[name];
    // A group of its own, so that its children end with it.
    const child = spawn(program, args, { cwd: options.cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const group = child.pid;
    if (group !== undefined) {
      groups.add(group);
      options.onStart?.(group);
    }

    let output = '';
    let timedOut = false;
    const startedAtMs = Date.now();
    const end = () => {
      timedOut = true;
      if (group === undefined) return;
      endGroup(group, 'SIGTERM');
      setTimeout(() => endGroup(group, 'SIGKILL'), 3000).unref();
    };
    const limit = setTimeout(end, options.limitMs);
    const ticker = setInterval(() => {
      if (options.onTick?.(Date.now() - startedAtMs, output) === false) end();
    }, options.tickMs ?? 15_000);
    const keep = (/** @type {Buffer} */ chunk) => {
      output = (output + chunk.toString()).slice(-200_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);

    let settled = false;
    const settle = (/** @type {number | null} */ code) => {
      if (settled) return;
      settled = true;
      clearTimeout(limit);
      clearInterval(ticker);
      if (group !== undefined) groups.delete(group);
      const tail = output.trimEnd().split('\n').slice(-12).join('\n');
      resolve({ ok: code === 0 && !timedOut, code, timedOut, output, tail });
    };
    child.on('error', (err) => {
      output += err.message;
      settle(null);
    });
    child.on('close', (code) => settle(code));
  });
}

/**
 * @param {string} program
 * @param {string} [outside] folders below this one are passed over
 * @returns {string | null}
 */
export function findOnPath(program, outside) {
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    if (outside !== undefined && folder.startsWith(outside)) continue;
    const file = path.join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      if (folder !== '' && statSync(file).isFile()) return file;
    } catch {
      // Not here.
    }
  }
  return null;
}
