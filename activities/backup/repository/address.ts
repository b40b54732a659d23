import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { isLocation, parseLocation } from '../../objects/location.ts';
import type { StoreAddress } from './store.ts';

/** Schemes of restic that Muster has no store for; taken for directories they would only puzzle. */
const foreign = /^(sftp|rest|b2|azure|gs|swift|rclone):/i;

/**
 * A directory, `s3://bucket/prefix`, `oss://bucket/prefix`; or restic's `local:/path` and `s3:https://host/bucket`.
 * @throws MusterError CONFIG_INVALID, SECRET_MISSING
 */
export function parseAddress(text: string, env: NodeJS.ProcessEnv): StoreAddress {
  if (text === '') throw new MusterError('CONFIG_INVALID', 'the address of the repository is empty');
  const location = isLocation(text) ? text : fromRestic(text);
  if (location !== null) return { kind: 'objects', place: parseLocation(location, env) };
  if (foreign.test(text)) {
    const [scheme] = text.split(':');
    throw new MusterError('CONFIG_INVALID', `repositories by ${scheme}: are not read; a directory, s3:// or oss:// is`);
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
