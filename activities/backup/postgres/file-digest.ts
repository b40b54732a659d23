import { createHash, type Hash } from 'node:crypto';
import { crc32c, firstRegister, updateCrcs, valueOf } from '../../objects/checksum/crc.ts';

/** Checksums that PostgreSQL puts into a manifest. */
export const manifestAlgorithms = ['CRC32C', 'SHA224', 'SHA256', 'SHA384', 'SHA512'] as const;
export type ManifestAlgorithm = (typeof manifestAlgorithms)[number];

export interface FileDigest {
  update(bytes: Uint8Array): void;
  /** As the manifest writes it: lower-case hex. */
  hex(): string;
}

export function createFileDigest(algorithm: ManifestAlgorithm): FileDigest {
  return algorithm === 'CRC32C' ? new Crc() : new Sha(algorithm);
}

const crcs = [crc32c];

/** The manifest holds the bytes of the number as they lie in the server's memory: the lowest first. */
class Crc implements FileDigest {
  readonly #registers = [firstRegister(crc32c)];

  update(bytes: Uint8Array): void {
    updateCrcs(crcs, this.#registers, bytes);
  }

  hex(): string {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(Number(valueOf(crc32c, this.#registers[0] ?? 0n)));
    return bytes.toString('hex');
  }
}

class Sha implements FileDigest {
  readonly #hash: Hash;

  constructor(algorithm: ManifestAlgorithm) {
    this.#hash = createHash(algorithm.toLowerCase());
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  hex(): string {
    return this.#hash.digest('hex');
  }
}
