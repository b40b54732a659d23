/** The major versions that `npm run test:postgres-versions` has fetched, and the one that is bundled. */
import path from 'node:path';
import { findPostgres, reachableHome } from '../../../../activities/drivers/postgres/binaries.ts';
import { fetchedHome, releaseOf } from '../../../../scripts/postgres-versions/fetch.ts';

export interface FetchedVersion {
  major: number;
  name: string;
  /** `null`: the bundled programs. */
  binDir: string | null;
  /** Why it cannot be tried. */
  skip: string | false;
}

/** Oldest first: where it has been fetched, every run of the tests looks at it. */
const smokeMajor = 14;

/** All that are named in MUSTER_POSTGRES_VERSIONS (`14,15,bundled`), without it the oldest one. */
export function versionsToTry(): Promise<FetchedVersion[]> {
  const named = process.env['MUSTER_POSTGRES_VERSIONS'] ?? String(smokeMajor);
  return Promise.all(named.split(',').map((name) => (name === 'bundled' ? bundled() : fetched(Number(name)))));
}

async function bundled(): Promise<FetchedVersion> {
  const { major, version } = await findPostgres();
  return { major, name: `PostgreSQL ${version} (bundled)`, binDir: null, skip: false };
}

async function fetched(major: number): Promise<FetchedVersion> {
  const release = releaseOf(major);
  const home = release === null ? null : fetchedHome(release);
  const version = { major, name: `PostgreSQL ${release?.version.replace(/-.*/, '') ?? major}` };
  if (home !== null) return { ...version, binDir: path.join(await reachableHome(home), 'bin'), skip: false };
  const why = release === null ? 'npm has no package for this machine' : 'fetch it: npm run test:postgres-versions';
  return { ...version, binDir: '', skip: why };
}
