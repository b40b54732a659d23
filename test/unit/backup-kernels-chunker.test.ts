import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Chunker,
  chunkerMemoryBytes,
  createChunker,
  createFixedChunker,
} from '../../activities/backup/kernels/chunker.ts';
import { createKernelMemory } from '../../activities/backup/kernels/memory.ts';

const kib = 1024;
const seedOf = (number: number): Uint8Array => new Uint8Array(32).fill(number);
const sizes = { minBytes: 256, targetBytes: 1024, maxBytes: 4096 };

/** Bytes that look random and are the same every time. */
function noise(sizeBytes: number, which = 0): Buffer {
  return createCipheriv('aes-256-ctr', seedOf(which), new Uint8Array(16)).update(new Uint8Array(sizeBytes));
}

/** Lengths of the chunks of one stream. */
function chunksOf(chunker: Chunker, bytes: Uint8Array): number[] {
  chunker.reset();
  const lengths: number[] = [];
  let start = 0;
  for (;;) {
    const length = chunker.next(bytes, start, bytes.length);
    if (length === 0) break;
    lengths.push(length);
    start += length;
  }
  return start === bytes.length ? lengths : [...lengths, bytes.length - start];
}

/** The same, of a stream that comes in pieces, each of which may be in another place. */
function chunksOfPieces(chunker: Chunker, bytes: Uint8Array, pieces: readonly number[]): number[] {
  chunker.reset();
  const lengths: number[] = [];
  let [start, end] = [0, 0];
  for (const piece of [...pieces, bytes.length]) {
    end = Math.min(end + piece, bytes.length);
    const seen = Uint8Array.from(bytes.subarray(start, end));
    let at = 0;
    for (;;) {
      const length = chunker.next(seen, at, seen.length);
      if (length === 0) break;
      lengths.push(length);
      at += length;
    }
    start += at;
  }
  return start === bytes.length ? lengths : [...lengths, bytes.length - start];
}

const inMixedData = fc
  .array(fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 6000 }), fc.boolean()), { maxLength: 8 })
  .map((parts) => Buffer.concat(parts.map(([which, n, even]) => (even ? Buffer.alloc(n, which) : noise(n, which)))));

test('where chunks end does not depend on the pieces in which the bytes come', () => {
  const [one, other] = [createChunker({ seed: seedOf(1), ...sizes }), createChunker({ seed: seedOf(1), ...sizes })];
  const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 9000 })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(inMixedData, pieces, (bytes, lengths) => {
      assert.deepEqual(chunksOfPieces(one, bytes, lengths), chunksOf(other, bytes));
    }),
    { numRuns: 300 },
  );
});

test('bytes that lie in the kernel memory and bytes from elsewhere are cut in the same places', () => {
  const bytes = noise(1000 * kib);
  const memory = createKernelMemory(chunkerMemoryBytes + bytes.length);
  for (const options of [sizes, { minBytes: 20 * kib, targetBytes: 150 * kib, maxBytes: 300 * kib }]) {
    const chunker = createChunker({ seed: seedOf(1), ...options }, createKernelMemory(chunkerMemoryBytes));
    const inside = createChunker({ seed: seedOf(1), ...options }, memory);
    const room = memory.take(400 * kib);
    room.set(bytes.subarray(0, room.length));
    assert.deepEqual(chunksOf(inside, room), chunksOf(chunker, bytes.subarray(0, room.length)));
    assert.deepEqual(chunksOf(inside, bytes), chunksOf(chunker, bytes));
  }
});

test('a chunk ends where the 64 bytes before say so, whatever came before them', () => {
  // So close to the target all places are equally likely.
  const chunker = createChunker({ seed: seedOf(1), minBytes: 900, targetBytes: 1024, maxBytes: 4096 });
  const bytes = noise(100 * kib);
  const lengths = chunksOf(chunker, bytes).slice(0, -1);
  let [end, byChance] = [0, 0];
  for (const length of lengths) {
    end += length;
    const other = Buffer.concat([noise(900 - 64, 2), bytes.subarray(end - 64, end)]);
    assert.equal(chunker.next(other, 0, other.length), other.length);
    other[899] = (other[899] as number) ^ 1;
    if (chunker.next(other, 0, other.length) !== 0) byChance += 1;
    chunker.reset();
  }
  assert.ok(lengths.length > 80 && byChance < 5, `${byChance} of ${lengths.length} end there with another byte, too`);
});

test('chunks are neither smaller nor larger than the bounds, and nothing is lost', () => {
  const chunker = createChunker({ seed: seedOf(2), ...sizes });
  fc.assert(
    fc.property(inMixedData, (bytes) => {
      const lengths = chunksOf(chunker, bytes);
      assert.equal(
        lengths.reduce((sum, length) => sum + length, 0),
        bytes.length,
      );
      for (const length of lengths.slice(0, -1)) assert.ok(length >= sizes.minBytes, `${length} bytes`);
      for (const length of lengths) assert.ok(length > 0 && length <= sizes.maxBytes, `${length} bytes`);
    }),
  );
});

for (const [minBytes, targetBytes, maxBytes] of [
  [8 * kib, 16 * kib, 128 * kib],
  [64, 16 * kib, 128 * kib],
  [4 * kib, 16 * kib, 128 * kib],
  [14 * kib, 16 * kib, 64 * kib],
  [8 * kib, 13_000, 64 * kib],
] as const) {
  test(`random data has chunks of ${targetBytes} bytes on average when at least ${minBytes} are asked for`, () => {
    const lengths = chunksOf(createChunker({ seed: seedOf(3), minBytes, targetBytes, maxBytes }), noise(24_000 * kib));
    const mean = (24_000 * kib) / lengths.length;
    assert.ok(Math.abs(mean / targetBytes - 1) < 0.04, `${mean} bytes`);
  });
}

test('a byte more or less changes few chunks', () => {
  const chunker = createChunker({ seed: seedOf(4), ...sizes });
  const bytes = noise(300 * kib);
  const contents = (data: Buffer): string[] => {
    let start = 0;
    return chunksOf(chunker, data).map((length) => {
      start += length;
      return data.toString('latin1', start - length, start);
    });
  };
  const before = new Set(contents(bytes));
  const changes = Array.from({ length: 60 }, (_, i) => {
    const at = i * 5000;
    const changed =
      i % 2 === 0
        ? Buffer.concat([bytes.subarray(0, at), Buffer.from([i]), bytes.subarray(at)])
        : Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
    return contents(changed).filter((content) => !before.has(content)).length;
  });
  const mean = changes.reduce((sum, count) => sum + count, 0) / changes.length;
  assert.ok(mean < 3, `${mean} chunks on average`);
  assert.ok(Math.max(...changes) < before.size / 10, `${Math.max(...changes)} chunks at most`);
});

test('a run of any one byte has the largest chunks under any seed', () => {
  for (let seed = 0; seed < 8; seed += 1) {
    const chunker = createChunker({ seed: seedOf(seed), ...sizes });
    for (let byte = 0; byte < 256; byte += 1) {
      const lengths = chunksOf(chunker, Buffer.alloc(3 * sizes.maxBytes + 100, byte));
      assert.deepEqual(lengths, [sizes.maxBytes, sizes.maxBytes, sizes.maxBytes, 100], `byte ${byte}, seed ${seed}`);
    }
  }
});

test('another seed ends chunks in other places', () => {
  const bytes = noise(100 * kib);
  const ends = (seed: Uint8Array): Set<number> => {
    let end = 0;
    return new Set(chunksOf(createChunker({ seed, ...sizes }), bytes).map((length) => (end += length)));
  };
  const first = ends(seedOf(1));
  const common = [...ends(seedOf(5))].filter((end) => first.has(end));
  assert.ok(common.length < 5, `${common.length} of ${first.size} ends in common`);
});

test('chunks end where they always did: repositories would otherwise store everything once more', () => {
  const digest = (lengths: number[]): string => createHash('sha256').update(lengths.join()).digest('hex').slice(0, 16);
  assert.deepEqual(
    [
      digest(chunksOf(createChunker({ seed: seedOf(6), ...sizes }), noise(200 * kib))),
      digest(chunksOf(createChunker({ seed: noise(32) }), noise(20_000 * kib))),
    ],
    ['415c6893b2b4d0ac', '8dafd2e019161618'],
  );
});

test('a stream that was given up leaves nothing behind', () => {
  const chunker = createChunker({ seed: seedOf(7), ...sizes });
  const bytes = noise(20 * kib);
  const want = chunksOf(chunker, bytes);
  assert.equal(chunker.next(noise(250, 1), 0, 250), 0);
  assert.deepEqual(chunksOf(chunker, bytes), want);
});

test('chunks of fixed size have that size', () => {
  assert.deepEqual(chunksOf(createFixedChunker(8192), noise(20_000)), [8192, 8192, 3616]);
  assert.deepEqual(chunksOfPieces(createFixedChunker(8192), noise(16_384), [1, 8190, 1, 5]), [8192, 8192]);
});

for (const [name, options] of [
  ['a seed of 31 bytes', { seed: new Uint8Array(31) }],
  ['a smallest chunk that the hash does not fit in', { seed: seedOf(0), minBytes: 63 }],
  ['a smallest chunk as large as the target', { seed: seedOf(0), minBytes: 2 ** 20 }],
  ['a target above the largest chunk', { seed: seedOf(0), targetBytes: 2 ** 23 + 1 }],
  ['a fraction of a byte', { seed: seedOf(0), targetBytes: 1e6 + 0.5 }],
] as const) {
  test(`${name} is refused`, () => {
    assert.throws(() => createChunker(options), RangeError);
  });
}

test('chunks of no bytes are refused', () => {
  assert.throws(() => createFixedChunker(0), RangeError);
});
