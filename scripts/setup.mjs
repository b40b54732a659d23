/**
 * Gets everything Muster needs, once: npm packages, Node 24, PostgreSQL, Temporal. Runs before `npm start` and `npm test`
 * on any Node >= 20 with nothing installed, and costs next to nothing when all is there.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './node24.mjs';
import { checkNode, checkPostgres, postgresIsComplete } from './setup/binaries.mjs';
import { releaseAll, withLock } from './setup/lock.mjs';
import { installPackages, packagesState } from './setup/packages.mjs';
import { endAll } from './setup/run.mjs';
import { SetupError, complain, say } from './setup/say.mjs';
import { findTemporal } from './setup/temporal.mjs';

const usage = `usage: npm run setup [-- --no-temporal]

  --no-temporal   do not look for Temporal (enough for \`npm run check\`)`;

const stateFolder = path.join(root, '.muster');
const stateFile = path.join(stateFolder, 'setup.json');

/**
 * What was found, for every later command. `temporal` is null only when it was never looked for.
 * @typedef {{ node: string, nodeVersion: string, postgres: string, temporal: import('./setup/temporal.mjs').Temporal | null, at: string }} Setup
 */

async function main() {
  const flags = process.argv.slice(2);
  if (flags.includes('--help')) return console.log(usage);
  if (flags.some((flag) => flag !== '--no-temporal')) {
    console.error(usage);
    process.exitCode = 2;
    return;
  }
  const oldest = 20;
  if (Number(process.versions.node.split('.')[0]) < oldest) {
    throw new SetupError(`Muster needs Node ${oldest} or later; this is ${process.version}. See https://nodejs.org`);
  }

  const known = readState();
  const programs = isComplete(known) ? known : await prepare();
  const temporal = flags.includes('--no-temporal')
    ? (known?.temporal ?? null)
    : await findTemporal(known?.temporal ?? null, programs.node);
  if (programs === known && JSON.stringify(temporal) === JSON.stringify(known.temporal)) return;
  const { node, nodeVersion, postgres } = programs;
  writeState({ node, nodeVersion, postgres, temporal, at: new Date().toISOString() });
  say(`ready: Node ${nodeVersion}, PostgreSQL ${postgres}${temporal === null ? '' : `, ${describe(temporal)}`}`);
}

/** @param {Setup | null} known @returns {known is Setup} */
function isComplete(known) {
  return known !== null && packagesState() === 'current' && existsSync(known.node) && postgresIsComplete();
}

/** @returns {Promise<{ node: string, nodeVersion: string, postgres: string }>} */
function prepare() {
  const wait = (/** @type {string} */ pid) => say(`another set-up (process ${pid}) is at work here, waiting for it`);
  return withLock(path.join(stateFolder, 'setup.lock'), wait, async (onStart) => {
    await installPackages(onStart);
    const node = await checkNode();
    return { node: node.path, nodeVersion: node.version, postgres: await checkPostgres() };
  });
}

/** @param {import('./setup/temporal.mjs').Temporal} temporal */
function describe(temporal) {
  if (temporal.kind === 'address') return `Temporal at ${temporal.address}`;
  return `Temporal server ${temporal.server} (${temporal.path})`;
}

/** @returns {Setup | null} */
function readState() {
  try {
    return JSON.parse(readFileSync(stateFile, 'utf8'));
  } catch {
    return null;
  }
}

/** @param {Setup} state */
function writeState(state) {
  mkdirSync(stateFolder, { recursive: true });
  const writing = `${stateFile}.${process.pid}`;
  writeFileSync(writing, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(writing, stateFile);
}

for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
])) {
  process.once(signal, () => {
    endAll();
    releaseAll();
    process.exit(code);
  });
}

main().catch((err) => {
  complain(err);
  process.exitCode = 1;
});
