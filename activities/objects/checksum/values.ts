import { type ChecksumKind, type Checksums } from '../types.ts';
import { combineCrc, type Crc, crc32, crc32c, crc64ecma, crc64nvme } from './crc.ts';

/** Kinds that are CRCs: those of parts can be put together without the bytes. */
export const crcKinds = { crc64nvme, crc64ecma, crc32, crc32c } as const satisfies Partial<Record<ChecksumKind, Crc>>;
export type CrcKind = keyof typeof crcKinds;

/** Which to believe first where two sides know several: all of them see accidents, the long ones more surely. */
const byStrength: readonly ChecksumKind[] = ['sha256', 'crc64nvme', 'crc64ecma', 'md5', 'sha1', 'crc32c', 'crc32'];

export type Comparison =
  | { kind: 'same'; by: ChecksumKind[] }
  | { kind: 'different'; by: ChecksumKind; left: string; right: string }
  /** They have no kind in common: nothing is said. */
  | { kind: 'unknown' };

const unknown: Comparison = { kind: 'unknown' };

/** Compares two sides by every kind both know; one that differs decides. */
export function compareChecksums(left: Checksums, right: Checksums): Comparison {
  const common: ChecksumKind[] = [];
  for (const kind of byStrength) {
    const one = left[kind];
    const other = right[kind];
    if (one === undefined || other === undefined) continue;
    if (one !== other) return { kind: 'different', by: kind, left: one, right: other };
    common.push(kind);
  }
  return common.length === 0 ? unknown : { kind: 'same', by: common };
}

/**
 * The CRCs of parts in a row as one, from the CRCs and sizes (bytes) of the parts: proves a multipart object without
 * reading it. Kinds that are no CRC, or that a part lacks, are left out. Of no parts: those of no bytes.
 */
export function combineChecksums(parts: readonly { checksums: Checksums; sizeBytes: number }[]): Checksums {
  const combined: Checksums = {};
  for (const kind of Object.keys(crcKinds) as CrcKind[]) {
    const crc = crcKinds[kind];
    let whole: bigint | undefined = 0n;
    for (const { checksums, sizeBytes } of parts) {
      const hex = checksums[kind];
      if (hex === undefined) whole = undefined;
      if (whole === undefined || hex === undefined) break;
      whole = combineCrc(crc, whole, { value: BigInt(`0x${hex}`), sizeBytes });
    }
    if (whole !== undefined) combined[kind] = crcHex(crc, whole);
  }
  return combined;
}

export function crcHex({ bits }: Crc, value: bigint): string {
  return value.toString(16).padStart(bits / 4, '0');
}

const hexDigits: Record<ChecksumKind, number> = {
  ...{ crc64nvme: 16, crc64ecma: 16, crc32: 8, crc32c: 8, md5: 32, sha1: 40, sha256: 64 },
};

/** S3's and Content-MD5's spelling as hex; undefined for what is no checksum of this kind. */
export function fromBase64(kind: ChecksumKind, text: string): string | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length * 2 === hexDigits[kind] && bytes.toString('base64') === text ? bytes.toString('hex') : undefined;
}

export function toBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}

/** OSS writes its CRC as a decimal number. Undefined for what is none. */
export function fromDecimal(text: string): string | undefined {
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text);
  return value < 1n << 64n ? crcHex(crc64ecma, value) : undefined;
}

export function toDecimal(hex: string): string {
  return BigInt(`0x${hex}`).toString();
}
