import { type ByteTarget, type Checksum, type ChecksumAlgorithm, type OpenObject } from '../../object/model.ts';
import { createChecksum } from '../../hash/checksums.ts';
import { type Payload } from '../operation.ts';
import { type ByteRange } from './ranges.ts';

/** A checksum that is computed while the bytes go by. */
export interface RunningChecksum {
  update(chunk: Uint8Array): void;
  finish(): Checksum;
}

export function runningChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  const running = createChecksum(algorithm);
  return {
    update: (chunk) => running.update(chunk),
    finish: () => ({ algorithm, value: Buffer.from(running.digest()).toString('base64'), type: 'FULL_OBJECT' }),
  };
}

/** Bytes of a stored object in the place of a request's body. */
export function payloadFrom(source: OpenObject, range: ByteRange | undefined): Payload {
  return {
    expectedBytes: range === undefined ? 0 : range.last - range.first + 1,
    async pipe(target) {
      if (range !== undefined) await source.send(range.first, range.last, copyTarget(target));
      return { claimedMd5: undefined, checksum: undefined };
    },
    bytes: () => Promise.reject(new Error('a copied object is streamed')),
  };
}

function copyTarget(target: Parameters<Payload['pipe']>[0]): ByteTarget {
  return {
    closed: false,
    write(chunk, release) {
      // An upload may keep what it is given; the reader's memory is used again at once.
      const own = Buffer.from(chunk);
      release();
      return target.write(own);
    },
    drained: () => target.drained(),
  };
}

/** Every byte of an object; undefined when it has none. */
export function wholeOf(sizeBytes: number): ByteRange | undefined {
  return sizeBytes === 0 ? undefined : { first: 0, last: sizeBytes - 1 };
}
