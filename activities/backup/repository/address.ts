import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { isLocation, parseLocation } from '../../objects/location.ts';
import type { NewRetention, StoreAddress } from './store.ts';

/** Schemes of restic that Muster has no store for; taken for directories they would only puzzle. */
const foreign = /^(sftp|rest|b2|azure|gs|swift|rclone):/i;

/**
 * A directory, `s3://bucket/prefix`, `oss://bucket/prefix`; or restic's `local:/path` and `s3:https://host/bucket`.
 * With the option `objectLock=compliance:30d` (or `governance:…`) of an `s3://` address new files are locked for so long.
 * @throws MusterError CONFIG_INVALID, SECRET_MISSING
 */
export function parseAddress(text: string, env: NodeJS.ProcessEnv): StoreAddress {
  if (text === '') throw new MusterError('CONFIG_INVALID', 'the address of the repository is empty');
  const given = isLocation(text) ? text : fromRestic(text);
  if (given !== null) {
    const { location, retention } = takeRetention(given);
    return { kind: 'objects', place: parseLocation(location, env), ...(retention !== null && { retention }) };
  }
  if (foreign.test(text)) {
    const [scheme] = text.split(':');
    throw new MusterError('CONFIG_INVALID', `repositories by ${scheme}: are not read; a directory, s3:// or oss:// is`);
  }
  const [, scheme] = /^([a-z][a-z\d+.-]*):\/\//i.exec(text) ?? [];
  if (scheme !== undefined && scheme.toLowerCase() !== 'local') {
    throw new MusterError(
      'CONFIG_INVALID',
      `repositories by ${scheme}:// are not read; a directory, s3:// or oss:// is`,
    );
  }
  return { kind: 'directory', path: path.resolve(text.replace(/^local:/, '')) };
}

const option = /(?<=[?&])objectLock=([^&]*)&?/;

/** Takes the option out that is the repository's and not the bucket's. */
function takeRetention(text: string): { location: string; retention: NewRetention | null } {
  const found = option.exec(text);
  if (found === null) return { location: text, retention: null };
  const value = decodeURIComponent(found[1] ?? '');
  const parts = /^(governance|compliance):(\d{1,5})d$/i.exec(value);
  const isS3 = /^s3:/i.test(text);
  if (parts === null || Number(parts[2]) === 0 || !isS3) {
    const why = isS3 ? `reads like compliance:30d, not "${value}"` : 'is of S3: OSS locks buckets, not objects';
    throw new MusterError('CONFIG_INVALID', `the option objectLock of the repository ${why}`);
  }
  const mode = parts[1]!.toUpperCase() as NewRetention['mode'];
  const location = text.replace(option, '').replace(/[?&]$/, '');
  return { location, retention: { mode, forMs: Number(parts[2]) * 86_400_000 } };
}

/** restic writes buckets as `s3:https://host/bucket/prefix` or `s3:host/bucket/prefix`. */
function fromRestic(text: string): string | null {
  const found = /^s3:(?:(https?):\/\/)?([^/]+)\/([^/]+)(?:\/(.*))?$/i.exec(text);
  if (found === null) return null;
  const [, scheme = 'https', host = '', bucket = '', prefix = ''] = found;
  return `s3://${bucket}/?${new URLSearchParams({ endpoint: `${scheme}://${host}`, prefix }).toString()}`;
}
