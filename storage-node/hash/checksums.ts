import { createHash } from 'node:crypto';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { type Checksum, type ChecksumAlgorithm, type Part } from '../object/model.ts';
import { combineCrc, crc32, crc32c, crc64nvme, type CrcKind, updateCrc } from './crc.ts';

/** A checksum in the making. */
export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  digest(): Uint8Array;
}

const crcKinds: Partial<Record<ChecksumAlgorithm, CrcKind>> = { CRC32: crc32, CRC32C: crc32c, CRC64NVME: crc64nvme };

export function createChecksum(algorithm: ChecksumAlgorithm | 'MD5'): RunningChecksum {
  switch (algorithm) {
    case 'MD5':
    case 'SHA1':
    case 'SHA256': {
      const hash = createHash(algorithm.toLowerCase());
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
    case 'CRC32': {
      let crc = 0;
      return {
        update(bytes) {
          crc = zlibCrc32(bytes, crc);
        },
        digest: () => bigEndian(BigInt(crc), 4),
      };
    }
    case 'CRC32C':
    case 'CRC64NVME': {
      const kind = crcKinds[algorithm]!;
      const update = updateCrc(kind);
      let crc = 0n;
      return {
        update(bytes) {
          crc = update(crc, bytes);
        },
        digest: () => bigEndian(crc, kind.bits / 8),
      };
    }
  }
}

function bigEndian(value: bigint, bytes: number): Uint8Array {
  const digest = Buffer.alloc(8);
  digest.writeBigUInt64BE(value);
  return digest.subarray(8 - bytes);
}

/**
 * The checksum of a multipart object from those of its parts: of all bytes where the algorithm is a CRC and that was
 * asked for (always for CRC64NVME), else of the parts' checksums with their number behind it, as in S3. Undefined when
 * a part has none, or another algorithm's.
 */
export function combineChecksums(parts: readonly Part[], type: Checksum['type'] | undefined): Checksum | undefined {
  const algorithm = parts[0]?.checksum?.algorithm;
  if (algorithm === undefined || parts.some(({ checksum }) => checksum?.algorithm !== algorithm)) return undefined;
  const kind = crcKinds[algorithm];
  if (kind !== undefined && (type === 'FULL_OBJECT' || algorithm === 'CRC64NVME')) {
    let crc = 0n;
    for (const { checksum, sizeBytes } of parts) crc = combineCrc(kind, crc, fromBase64(checksum!.value), sizeBytes);
    return { algorithm, value: Buffer.from(bigEndian(crc, kind.bits / 8)).toString('base64'), type: 'FULL_OBJECT' };
  }
  const whole = createChecksum(algorithm);
  for (const { checksum } of parts) whole.update(Buffer.from(checksum!.value, 'base64'));
  const value = `${Buffer.from(whole.digest()).toString('base64')}-${parts.length}`;
  return { algorithm, value, type: 'COMPOSITE' };
}

function fromBase64(value: string): bigint {
  return BigInt(`0x${Buffer.from(value, 'base64').toString('hex') || '0'}`);
}
