import { hash } from 'node:crypto';
import type { BlobType } from './blob-table.ts';
import type { Sealer } from './sealing.ts';
import type { Zstd } from '../kernels/zstd.ts';

/** A blob as the header of its pack and the index describe it. */
export interface PackEntry {
  readonly type: BlobType;
  /** SHA-256 of the plaintext, 32 bytes. */
  readonly id: Uint8Array;
  readonly offset: number;
  /** Of the sealed blob, in bytes. */
  readonly length: number;
  /** Of the plaintext, in bytes; 0 for a blob that was not compressed. */
  readonly uncompressedLength: number;
}

/** What opening and making blobs takes; belongs to one thread. */
export interface BlobTools {
  readonly sealer: Sealer;
  readonly zstd: Zstd;
}

export type OpenedBlob =
  | { readonly kind: 'intact'; readonly plaintext: Uint8Array }
  /** `why` continues the sentence "blob ...". */
  | { readonly kind: 'damaged'; readonly why: string };

/** The id of a blob: 32 bytes. */
export function blobId(plaintext: Uint8Array): Uint8Array {
  return hash('sha256', plaintext, 'buffer');
}

/** Opens a sealed blob and compares the hash of what comes out with its id. */
export function openBlob(
  { sealer, zstd }: BlobTools,
  sealed: Uint8Array,
  blob: { readonly id: Uint8Array; readonly uncompressedLength: number },
): OpenedBlob {
  const opened = sealer.open(sealed);
  if (opened === null) return { kind: 'damaged', why: 'has a wrong MAC' };
  const plaintext = blob.uncompressedLength === 0 ? opened : zstd.decompress(opened, blob.uncompressedLength);
  if (plaintext === null) return { kind: 'damaged', why: 'does not decompress' };
  if (Buffer.compare(blobId(plaintext), blob.id) !== 0) return { kind: 'damaged', why: 'has another hash than its id' };
  return { kind: 'intact', plaintext };
}

export function hexOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex');
}

/** The 32 bytes of an id in hexadecimal; null when it is none. */
export function idFromHex(hex: string): Uint8Array | null {
  if (hex.length !== 64) return null;
  const id = Buffer.from(hex, 'hex');
  return id.length === 32 ? id : null;
}
