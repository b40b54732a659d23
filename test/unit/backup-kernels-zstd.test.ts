import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { contentSizeOfFrame } from '../../activities/backup/kernels/zstd-frame.ts';
import { createZstd } from '../../activities/backup/kernels/zstd.ts';

/** Text with repetitions that is the same every time. */
function text(sizeBytes: number, which = 0): Buffer {
  const words = Array.from({ length: 64 }, (_, i) => createHash('sha256').update(`${which} ${i}`).digest('base64'));
  let [out, state] = ['', which + 1];
  while (out.length < sizeBytes) {
    state = (state * 48_271) % 2_147_483_647;
    out += (words[state % 64] as string).slice(0, 1 + (state % 11));
  }
  return Buffer.from(out.slice(0, sizeBytes));
}

const zstd = createZstd();

for (const level of [-5, 1, 3, 9]) {
  test(`what is compressed at level ${level} zlib decompresses, piece after piece of any size`, () => {
    const one = createZstd({ level });
    const params = { [constants.ZSTD_c_compressionLevel]: level };
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20_000), fc.nat(9)), { minLength: 1, maxLength: 6 }), (pieces) => {
        for (const [length, which] of pieces) {
          const plaintext = text(length, which);
          const compressed = one.compress(plaintext);
          if (compressed === null) {
            assert.ok(zstdCompressSync(plaintext, { params }).length >= length);
            continue;
          }
          assert.ok(compressed.length < length);
          assert.deepEqual(zstdDecompressSync(compressed), plaintext);
          assert.deepEqual(one.decompress(Uint8Array.from(compressed), length), plaintext);
        }
      }),
    );
  });
}

test('large pieces go through, too, and a higher level makes them smaller', () => {
  const plaintext = text(1_000_000);
  const sizes = [1, 3, 12].map((level) => {
    const compressed = createZstd({ level }).compress(plaintext) as Uint8Array;
    assert.deepEqual(zstd.decompress(compressed, plaintext.length), plaintext);
    return compressed.length;
  });
  assert.deepEqual(
    sizes,
    sizes.toSorted((a, b) => b - a),
  );
});

const noise = randomBytes(600_000);
const oneTextPart = Buffer.from(noise);
text(80_000).copy(oneTextPart, 80_000);

for (const { name, plaintext } of [
  { name: 'nothing', plaintext: Buffer.alloc(0) },
  { name: 'one byte', plaintext: Buffer.from('x') },
  { name: 'a little noise', plaintext: noise.subarray(0, 3000) },
  { name: 'much noise', plaintext: noise },
]) {
  test(`compressing ${name} is given up`, () => {
    assert.equal(zstd.compress(plaintext), null);
  });
}

test('noise with a stretch of text is compressed', () => {
  const compressed = zstd.compress(oneTextPart);
  assert.ok(compressed !== null && compressed.length < 570_000);
  assert.deepEqual(zstd.decompress(compressed, oneTextPart.length), oneTextPart);
});

const plaintext = text(5000);
const whole = zstdCompressSync(plaintext);
const withChecksum = zstdCompressSync(plaintext, { params: { [constants.ZSTD_c_checksumFlag]: 1 } });
const withoutLength = zstdCompressSync(plaintext, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } });

/** The frame with another length in its header, where two bytes hold it, less 256. */
function promising(length: number): Buffer {
  const frame = Buffer.from(whole);
  assert.equal((frame[4] as number) >> 6, 1);
  frame.writeUInt16LE(length - 256, (frame[4] as number) & 0x20 ? 5 : 6);
  return frame;
}

for (const { name, frame, length, good } of [
  { name: 'a frame', frame: whole, length: 5000, good: true },
  { name: 'a frame with a checksum', frame: withChecksum, length: 5000, good: true },
  { name: 'a frame that does not tell its length', frame: withoutLength, length: 5000, good: true },
  { name: 'an empty frame', frame: zstdCompressSync(Buffer.alloc(0)), length: 0, good: true },
  { name: 'a frame that is longer than the index says', frame: whole, length: 4999, good: false },
  { name: 'a frame that is shorter than the index says', frame: whole, length: 5001, good: false },
  { name: 'a frame of something, where the index says nothing', frame: whole, length: 0, good: false },
  { name: 'a frame that holds more than it promises', frame: promising(4000), length: 4000, good: false },
  { name: 'a frame that holds less than it promises', frame: promising(6000), length: 6000, good: false },
  { name: 'a frame without its end', frame: whole.subarray(0, -1), length: 5000, good: false },
  { name: 'a frame without its checksum', frame: withChecksum.subarray(0, -4), length: 5000, good: null },
  {
    name: 'a wrong checksum',
    frame: Buffer.concat([withChecksum.subarray(0, -1), Buffer.of(1)]),
    length: 5000,
    good: false,
  },
  { name: '64 MiB of zeros', frame: zstdCompressSync(Buffer.alloc(2 ** 26)), length: 1000, good: false },
  { name: 'no zstd at all', frame: plaintext, length: 5000, good: false },
  { name: 'no bytes', frame: Buffer.alloc(0), length: 5, good: false },
]) {
  test(`${name}, and then a good one: the second is not hurt`, () => {
    const decompressed = zstd.decompress(frame, length);
    if (good === false) assert.equal(decompressed, null);
    if (good === true) assert.deepEqual(decompressed, plaintext.subarray(0, length));
    assert.deepEqual(zstd.decompress(whole, 5000), plaintext);
    assert.deepEqual(zstd.decompress(withChecksum, 5000), plaintext);
  });
}

test('damaged frames never throw, never give another length, and never disturb the next', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(damage, fc.constantFrom(whole, withChecksum, withoutLength), (changes, frame) => {
      const damaged = Buffer.from(frame);
      for (const [at, by] of changes) damaged[at % damaged.length] = (damaged[at % damaged.length] as number) ^ by;
      const out = zstd.decompress(damaged, 5000);
      assert.ok(out === null || out.length === 5000);
      assert.deepEqual(zstd.decompress(frame, 5000), plaintext);
    }),
    { numRuns: 500 },
  );
});

for (const length of [1, 255, 256, 65_791, 65_792, 300_000]) {
  test(`a frame of ${length} bytes tells its length, and is whole or not`, () => {
    for (const content of [text(length), Buffer.alloc(length), noise.subarray(0, length)]) {
      const frame = zstdCompressSync(content);
      assert.equal(contentSizeOfFrame(frame), length);
      assert.equal(contentSizeOfFrame(frame.subarray(0, -1)), null);
      assert.equal(contentSizeOfFrame(Buffer.concat([frame, Buffer.of(0)])), null);
      assert.equal(contentSizeOfFrame(Buffer.concat([frame, frame])), null);
    }
  });
}
