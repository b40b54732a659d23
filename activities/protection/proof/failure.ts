import { MusterError, type ErrorCode } from '../../../workflows/engine/errors.ts';
import { codeOf } from '../../backup/repository/durable-write.ts';

/** What kept the test from being made and says nothing about the backup. */
const saysNothing = new Set<ErrorCode>([
  'OBJECT_STORE_UNREACHABLE',
  'OBJECT_STORE_REFUSED',
  'CREDENTIALS_REFUSED',
  'SECRET_MISSING',
  'CONFIG_INVALID',
  'SITE_UNKNOWN',
  'REPOSITORY_LOCKED',
  'TARGET_FULL',
  'INTERNAL',
]);

/** Errors of the operating system that come from a disk, not from a person or a limit. */
const ofTheDisk = new Set(['EIO', 'EUCLEAN', 'EBADMSG']);

/**
 * What the failure of a restore says of the backup. `none`: it is about the surroundings, so it is the activity's
 * failure, may be tried again, and makes no proof. Pure.
 */
export function meaningOf(err: unknown): { kind: 'none' } | { kind: 'failed'; code: ErrorCode; message: string } {
  if (err instanceof MusterError) {
    return saysNothing.has(err.code) ? { kind: 'none' } : { kind: 'failed', code: err.code, message: err.message };
  }
  const system = codeOf(err);
  if (/^E[A-Z0-9]+$/.test(system) && !ofTheDisk.has(system)) return { kind: 'none' };
  // What was saved is read by programs that trust it to be of a form: what they stumble over is no backup.
  return { kind: 'failed', code: 'RESTORE_FAILED', message: err instanceof Error ? err.message : String(err) };
}
