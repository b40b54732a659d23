import type { ChecksumKind, Checksums } from '../../objects/types.ts';

/** What was known of an object's bytes when it was saved. */
export interface KnownOfObject {
  etag: string;
  /** Of its store; null in snapshots that were made when only the ETag was kept. */
  checksums: Checksums | null;
}

/**
 * `right`, `wrong`: by a checksum that its store had computed. `etag-right`, `etag-wrong`: by an ETag that looks like an
 * MD5, which a store that encrypts with a customer's keys need not say is none. `nothing-known`: there was no checksum.
 */
export type ObjectVerdict = 'right' | 'wrong' | 'etag-right' | 'etag-wrong' | 'nothing-known';

/** One is enough: the surest first. MD5 last, since what is called so may be an ETag that is none. */
const bySureness: readonly ChecksumKind[] = ['sha256', 'crc64nvme', 'crc64ecma', 'sha1', 'crc32c', 'crc32', 'md5'];

/** What an object is to be held against; null where nothing was known. Pure. */
export function wantedOf({ etag, checksums }: KnownOfObject): { kind: ChecksumKind; value: string } | null {
  const known: Checksums = checksums ?? (/^[0-9a-f]{32}$/i.test(etag) ? { md5: etag.toLowerCase() } : {});
  for (const kind of bySureness) {
    const value = known[kind];
    if (value !== undefined) return { kind, value };
  }
  return null;
}

/** @param computed of the bytes that were read back, with the kind of `wantedOf` at least. Pure. */
export function judgeObject(known: KnownOfObject, computed: Checksums): ObjectVerdict {
  const wanted = wantedOf(known);
  if (wanted === null) return 'nothing-known';
  const isRight = computed[wanted.kind] === wanted.value;
  if (wanted.kind === 'md5') return isRight ? 'etag-right' : 'etag-wrong';
  return isRight ? 'right' : 'wrong';
}
