import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import type { Sealer } from '../repository/sealing.ts';

/**
 * A file of WAL as it lies in a repository: sealed with the repository's key as restic seals its own files, inside it a
 * zstd stream with a checksum. The stream begins with a frame that every reader of zstd skips and that holds the name, so
 * that no object can stand in for another. `restic cat masterkey`, `openssl` and `zstd` can read it.
 */

const skippableMagic = 0x184d2a50;
const headerBytes = 8;
const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** WAL is half zeros and repeats; higher levels cost much and bring little. */
const options = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } };

export async function sealWal(sealer: Sealer, name: string, bytes: Buffer): Promise<Uint8Array> {
  const frame = Buffer.alloc(headerBytes + name.length);
  frame.writeUInt32LE(skippableMagic, 0);
  frame.writeUInt32LE(name.length, 4);
  frame.write(name, headerBytes, 'latin1');
  return sealer.seal(Buffer.concat([frame, await compress(bytes, options)]));
}

export type OpenedWal = { kind: 'whole'; bytes: Buffer } | { kind: 'damaged'; why: string };

export async function openWal(sealer: Sealer, name: string, sealed: Uint8Array): Promise<OpenedWal> {
  const opened = sealer.open(sealed);
  if (opened === null) return { kind: 'damaged', why: 'has a wrong MAC' };
  const plain = Buffer.from(opened.buffer, opened.byteOffset, opened.byteLength);
  if (plain.length < headerBytes || plain.readUInt32LE(0) !== skippableMagic) {
    return { kind: 'damaged', why: 'is no file of WAL' };
  }
  const end = headerBytes + plain.readUInt32LE(4);
  const inside = plain.toString('latin1', headerBytes, end);
  if (inside !== name) return { kind: 'damaged', why: `holds ${inside}` };
  try {
    return { kind: 'whole', bytes: await decompress(plain.subarray(end)) };
  } catch {
    return { kind: 'damaged', why: 'cannot be decompressed' };
  }
}
