import { StorageError } from '../../errors.ts';
import { S3Error } from '../s3-error.ts';

/** What went wrong with one of many keys, as its row of an answer says it. */
export function refusalOf(error: unknown): { code: string; message: string } {
  if (error instanceof S3Error || error instanceof StorageError) return { code: error.code, message: error.message };
  return { code: 'InternalError', message: 'We encountered an internal error. Please try again.' };
}
