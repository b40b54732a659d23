/**
 * Finds a Temporal server to run on, in this order: an address, a CLI on PATH, the CLI in the user's cache, the SDK's own
 * download, a build with Go. The last two fill the cache, so they happen once per user and not once per checkout.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { cacheFolder } from '../cache-folder.mjs';
import { withLock } from './lock.mjs';
import { findOnPath, run } from './run.mjs';
import { SetupError, say, warn } from './say.mjs';
import { buildWithGo } from './temporal-build.mjs';
import { downloadWithSdk } from './temporal-download.mjs';

/** The version Muster is tested with; later tags cannot be installed with `go install` (they carry a `replace`). */
const cliVersion = '1.5.1';
/** Oldest server whose updates, summaries and current details Muster uses. */
const oldestServer = { major: 1, minor: 25 };

/**
 * @typedef {{ kind: 'address', address: string } |
 *   { kind: 'binary', path: string, from: 'path' | 'cache' | 'download' | 'build', server: string, sizeBytes: number, modifiedAtMs: number }} Temporal
 */

/**
 * @param {Temporal | null} known what the last set-up found; it is not tried again while its file is the same
 * @param {string} node24 runs the SDK's download
 * @returns {Promise<Temporal>}
 */
export async function findTemporal(known, node24) {
  const quick = await findPresent(known);
  if (quick.found !== null) return quick.found;

  const folder = path.join(cacheFolder(), `temporal-${cliVersion}`);
  const wait = (/** @type {string} */ pid) =>
    say(`another set-up (process ${pid}) is fetching Temporal, waiting for it`);
  return withLock(`${folder}.lock`, wait, async (onStart) => {
    const meanwhile = await findPresent(known);
    if (meanwhile.found !== null) return meanwhile.found;
    mkdirSync(folder, { recursive: true });
    sweep(folder);
    const why = [...quick.why];
    for (const [from, fetch] of /** @type {const} */ ([
      ['download', () => downloadWithSdk({ folder, version: cliVersion, node24, onStart })],
      ['build', () => buildWithGo({ folder, version: cliVersion, onStart })],
    ])) {
      const failure = await fetch();
      const tried = failure === null ? await tryBinary(path.join(folder, 'temporal'), from) : failure;
      if (typeof tried !== 'string') return tried;
      why.push(`${from}: ${tried}`);
      sweep(folder);
      if (failure !== null && from === 'download') say(`Temporal was not downloaded: ${failure}`);
    }
    throw new SetupError(noTemporal(why));
  });
}

/**
 * The ways that need neither network nor time.
 * @param {Temporal | null} known
 * @returns {Promise<{ found: Temporal | null, why: string[] }>}
 */
async function findPresent(known) {
  const address = process.env.TEMPORAL_ADDRESS?.trim();
  if (address) {
    if (/^([^\s:/]+|\[[\da-f:]+\]):\d+$/i.test(address)) return { found: { kind: 'address', address }, why: [] };
    throw new SetupError(`TEMPORAL_ADDRESS must be host:port, such as 127.0.0.1:7233; it is "${address}"`);
  }
  const why = ['TEMPORAL_ADDRESS is not set'];
  const cached = path.join(cacheFolder(), `temporal-${cliVersion}`, 'temporal');
  const onPath = findOnPath('temporal');
  for (const [from, file] of /** @type {const} */ ([
    ['path', onPath],
    ['cache', cached],
  ])) {
    if (file === null || statSync(file, { throwIfNoEntry: false }) === undefined) {
      why.push(from === 'path' ? 'no `temporal` on PATH' : `nothing in the cache (${cached})`);
      continue;
    }
    if (isSame(known, file)) return { found: known, why: [] };
    const tried = await tryBinary(file, from);
    if (typeof tried !== 'string') return { found: tried, why: [] };
    why.push(`${file}: ${tried}`);
    if (from === 'path') warn(`${file} is passed over: ${tried}`);
  }
  return { found: null, why };
}

/** @param {Temporal | null} known @param {string} file */
function isSame(known, file) {
  if (known?.kind !== 'binary' || known.path !== file) return false;
  const { size, mtimeMs } = statSync(file);
  return size === known.sizeBytes && mtimeMs === known.modifiedAtMs;
}

/**
 * Asks a binary for its version. The server's counts: a CLI built with `go install` calls itself 0.0.0-DEV.
 * @param {string} file @param {'path' | 'cache' | 'download' | 'build'} from
 * @returns {Promise<Temporal | string>} a string says why it will not do
 */
async function tryBinary(file, from) {
  const ended = await run(file, ['--version'], { limitMs: 20_000 });
  const version = /\(Server (\d+)\.(\d+)\.([\w.-]+)/.exec(ended.output);
  if (!ended.ok || version === null) return 'it does not answer `--version` as the Temporal CLI does';
  const [, major, minor, patch] = version;
  const server = `${major}.${minor}.${patch}`;
  if (Number(major) !== oldestServer.major || Number(minor) < oldestServer.minor) {
    return `its server ${server} is not ${oldestServer.major}.${oldestServer.minor} or later`;
  }
  const { size, mtimeMs } = statSync(file);
  return { kind: 'binary', path: file, from, server, sizeBytes: size, modifiedAtMs: mtimeMs };
}

/** Half-made files of set-ups that were ended. @param {string} folder */
function sweep(folder) {
  for (const name of readdirSync(folder)) {
    if (name !== 'temporal') rmSync(path.join(folder, name), { recursive: true, force: true });
  }
}

/** @param {string[]} why */
function noTemporal(why) {
  return [
    'Muster runs on Temporal, and no way to a Temporal server worked:',
    ...why.map((line) => `  - ${line.replaceAll('\n', '\n    ')}`),
    'Do one of these, then run the same command again:',
    '  1. set TEMPORAL_ADDRESS=host:port to use a Temporal server that is running already',
    '  2. install the Temporal CLI, so that `temporal` is on PATH: https://docs.temporal.io/cli',
    '  3. install Go 1.25 or later (https://go.dev/dl): set-up then builds the CLI by itself, once',
  ].join('\n');
}
