import { readFileSync } from 'node:fs';
import { parseAddress } from '../../activities/backup/repository/address.ts';
import type { StoreAddress } from '../../activities/backup/repository/store.ts';
import { invalid } from './parse.ts';

/**
 * Where the repository lies: the option, MUSTER_REPOSITORY, then restic's RESTIC_REPOSITORY and RESTIC_REPOSITORY_FILE.
 * @throws MusterError CONFIG_INVALID, SECRET_MISSING
 */
export function repositoryAddress(given: string | undefined, env: NodeJS.ProcessEnv): StoreAddress {
  const text = given ?? fromEnvironment(env);
  if (text === null) {
    const ways = '--repo DIRECTORY, --repo s3://BUCKET/PREFIX or --repo oss://BUCKET/PREFIX, or set MUSTER_REPOSITORY';
    throw invalid(`which repository? say it with ${ways}`);
  }
  return parseAddress(text, env);
}

function fromEnvironment(env: NodeJS.ProcessEnv): string | null {
  const { MUSTER_REPOSITORY: own, RESTIC_REPOSITORY: theirs, RESTIC_REPOSITORY_FILE: file } = env;
  if (own || theirs) return (own || theirs) as string;
  if (!file) return null;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (err) {
    const why = err instanceof Error && 'code' in err ? String(err.code) : 'unreadable';
    throw invalid(`RESTIC_REPOSITORY_FILE names ${file}, which cannot be read (${why})`);
  }
}
