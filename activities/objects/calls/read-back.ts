import { compareChecksums } from '../checksum/values.ts';
import { ObjectStoreError } from '../failure.ts';
import { type CallOptions, type Checksums, type ObjectClient, type PutResult } from '../types.ts';

/** A write whose outcome may have to be found out. */
export interface ReadBack {
  key: string;
  /** Undefined where the writer does not know. */
  sizeBytes: number | undefined;
  known: () => Checksums;
  /** More of them, for stores that answer none of those known: worth computing only in doubt. */
  more?: () => Checksums;
  /** What the store will call it, where that can be told beforehand. */
  etag?: string | undefined;
}

/**
 * After a conditional write that was refused though an earlier try of it may have succeeded: that try's own object is
 * what the condition met. It is looked at; where it holds what was to be written, the write counts as done.
 * @throws what `error` is, where it was another write, or where nobody can tell
 */
export async function readBack(
  { head, call }: { head: ObjectClient['head']; call: CallOptions | undefined },
  written: ReadBack,
  error: unknown,
): Promise<PutResult> {
  const inDoubt = error instanceof ObjectStoreError && error.mayHaveHappened && settled.has(error.code);
  if (!inDoubt) throw error;
  const info = await head(written.key, {}, call).catch(() => undefined);
  if (info === undefined || !isSame(written, info)) throw error;
  const { etag, versionId, checksums } = info;
  return { etag, ...(versionId === undefined ? {} : { versionId }), checksums, readBack: true };
}

/** The store has judged: the key is taken (a write), or the upload is no longer there (a completion). */
const settled = new Set(['OBJECT_CHANGED', 'OBJECT_UNKNOWN']);

function isSame(
  { sizeBytes, known, more, etag }: ReadBack,
  info: { sizeBytes: number; etag: string; checksums: Checksums },
): boolean {
  if (sizeBytes !== undefined && sizeBytes !== info.sizeBytes) return false;
  if (etag !== undefined && etag.toLowerCase() === info.etag.toLowerCase()) return true;
  const compared = compareChecksums(known(), info.checksums).kind;
  if (compared !== 'unknown' || more === undefined) return compared === 'same';
  return compareChecksums(more(), info.checksums).kind === 'same';
}
