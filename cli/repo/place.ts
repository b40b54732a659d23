import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { StoreAddress } from '../../activities/backup/repository/store.ts';
import { isLocation, parseLocation } from '../../activities/objects/location.ts';
import { invalid } from './parse.ts';

/** Schemes of restic that Muster has no store for; taken for directories they would only puzzle. */
const foreign = /^(sftp|rest|b2|azure|gs|swift|rclone):/i;

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

/** A directory, `s3://bucket/prefix`, `oss://bucket/prefix`; or restic's `local:/path` and `s3:https://host/bucket`. */
export function parseAddress(text: string, env: NodeJS.ProcessEnv): StoreAddress {
  if (text === '') throw invalid('the address of the repository is empty');
  const location = isLocation(text) ? text : fromRestic(text);
  if (location !== null) return { kind: 'objects', place: parseLocation(location, env) };
  if (foreign.test(text)) {
    const [scheme] = text.split(':');
    throw invalid(`repositories by ${scheme}: are not read; a directory, s3:// or oss:// is`);
  }
  return { kind: 'directory', path: path.resolve(text.replace(/^local:/, '')) };
}

/** restic writes buckets as `s3:https://host/bucket/prefix` or `s3:host/bucket/prefix`. */
function fromRestic(text: string): string | null {
  const found = /^s3:(?:(https?):\/\/)?([^/]+)\/([^/]+)(?:\/(.*))?$/i.exec(text);
  if (found === null) return null;
  const [, scheme = 'https', host = '', bucket = '', prefix = ''] = found;
  return `s3://${bucket}/?${new URLSearchParams({ endpoint: `${scheme}://${host}`, prefix }).toString()}`;
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
