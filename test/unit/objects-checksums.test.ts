import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createCRC32, createCRC64, createMD5, createSHA1, createSHA256 } from 'hash-wasm';
import { type Crc, crc32, crc32c, crc64ecma, crc64nvme } from '../../activities/objects/checksum/crc.ts';
import { checksumsOf, createHasher } from '../../activities/objects/checksum/hasher.ts';
import {
  combineChecksums,
  compareChecksums,
  fromBase64,
  fromDecimal,
  toBase64,
  toDecimal,
} from '../../activities/objects/checksum/values.ts';
import { type ChecksumKind, type Checksums } from '../../activities/objects/types.ts';

const kinds: readonly ChecksumKind[] = ['crc64nvme', 'crc64ecma', 'crc32', 'crc32c', 'md5', 'sha1', 'sha256'];

/** The published check values: of the digits 1 to 9. */
const published: Checksums = {
  crc64nvme: 'ae8b14860a799888',
  crc64ecma: '995dc9bbdf1939fa',
  crc32: 'cbf43926',
  crc32c: 'e3069283',
  md5: '25f9e794323b453885f5181f1b624d0b',
  sha1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  sha256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
};

test('every kind gives its published check value', () => {
  assert.deepEqual(checksumsOf(kinds, Buffer.from('123456789')), published);
});

/** The same checksums by code that nobody here wrote. */
const theirs = {
  crc64nvme: await createCRC64('9a6c9329ac4bc9b5'),
  crc64ecma: await createCRC64('c96c5795d7870f42'),
  crc32: await createCRC32(),
  crc32c: await createCRC32(0x82f6_3b78),
  md5: await createMD5(),
  sha1: await createSHA1(),
  sha256: await createSHA256(),
};

function expected(bytes: Uint8Array): Checksums {
  return Object.fromEntries(kinds.map((kind) => [kind, theirs[kind].init().update(bytes).digest()]));
}

/** Bytes that are all over the place, cheaply: a seed and a length. */
const bytesOf = ({ seed, length }: { seed: number; length: number }): Buffer => {
  const bytes = Buffer.alloc(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    bytes[i] = state >>> 24;
  }
  return bytes;
};
const someBytes = (maxLength: number) =>
  fc.record({ seed: fc.integer(), length: fc.integer({ min: 0, max: maxLength }) }).map(bytesOf);

test('lengths around every border of the kernels agree with another implementation', () => {
  const borders = [0, 7, 8, 15, 16, 17, 3071, 3072, 3073, 3088, 65_535, 65_536, 65_537, 65_536 + 3072, 200_001];
  for (const length of borders) {
    const bytes = bytesOf({ seed: length, length });
    assert.deepEqual(checksumsOf(kinds, bytes), expected(bytes), `${length} bytes`);
  }
});

test('bytes given in any pieces come to the same as at once', () => {
  fc.assert(
    fc.property(someBytes(150_000), fc.array(fc.nat({ max: 70_000 }), { maxLength: 8 }), (bytes, cuts) => {
      const hasher = createHasher(kinds);
      let at = 0;
      for (const cut of [...cuts, bytes.length]) {
        hasher.update(bytes.subarray(at, at + cut));
        at = Math.min(bytes.length, at + cut);
      }
      assert.equal(hasher.sizeBytes, bytes.length);
      assert.deepEqual(hasher.digest(), expected(bytes));
    }),
    { numRuns: 60 },
  );
});

test('a digest may be asked for on the way', () => {
  const hasher = createHasher(kinds);
  hasher.update(Buffer.from('12345'));
  assert.deepEqual(hasher.digest(), expected(Buffer.from('12345')));
  hasher.update(Buffer.from('6789'));
  assert.deepEqual(hasher.digest(), published);
});

test('the CRCs of parts put together are those of the whole', () => {
  fc.assert(
    fc.property(fc.array(someBytes(9_000), { maxLength: 6 }), (parts) => {
      const known = parts.map((bytes) => ({ checksums: checksumsOf(kinds, bytes), sizeBytes: bytes.length }));
      const { crc64nvme: nvme, crc64ecma: ecma, crc32: zip, crc32c: castagnoli } = expected(Buffer.concat(parts));
      assert.deepEqual(combineChecksums(known), {
        ...{ crc64nvme: nvme, crc64ecma: ecma, crc32: zip, crc32c: castagnoli },
      });
    }),
    { numRuns: 60 },
  );
});

test('sizes beyond 32 bits are combined as a long run of zero bytes is', () => {
  const zeros = (bytes: number): { checksums: Checksums; sizeBytes: number } => {
    const mebibyte = { checksums: checksumsOf(kinds, Buffer.alloc(2 ** 20)), sizeBytes: 2 ** 20 };
    let one = mebibyte;
    while (one.sizeBytes < bytes) one = { checksums: combineChecksums([one, one]), sizeBytes: one.sizeBytes * 2 };
    return one;
  };
  const large = zeros(2 ** 41);
  const first = { checksums: published, sizeBytes: 9 };
  const doubled = combineChecksums([combineOf(first, large), large]);
  assert.deepEqual(doubled, combineChecksums([first, zeros(2 ** 42)]));

  function combineOf(...parts: { checksums: Checksums; sizeBytes: number }[]) {
    return { checksums: combineChecksums(parts), sizeBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0) };
  }
});

test('a kind that one part lacks is not known of the whole', () => {
  const parts = [
    { checksums: { crc64nvme: published.crc64nvme!, crc32: published.crc32! }, sizeBytes: 9 },
    { checksums: { crc64nvme: published.crc64nvme! }, sizeBytes: 9 },
  ];
  assert.deepEqual(Object.keys(combineChecksums(parts)), ['crc64nvme']);
});

/** x^exponent modulo the polynomial, in the reflected form. */
function power({ polynomial, bits }: Crc, exponent: number): bigint {
  let value = 1n << BigInt(bits - 1);
  for (let i = 0; i < exponent; i++) value = (value >> 1n) ^ ((value & 1n) * polynomial);
  return value;
}

for (const [name, crc] of Object.entries({ crc64nvme, crc64ecma, crc32c, crc32 })) {
  test(`the taps of ${name} are a multiple of its polynomial, far enough apart for whole blocks`, () => {
    const degree = crc.taps.at(-1)!;
    const terms = [degree, ...crc.taps.map((tap) => degree - tap)].map((exponent) => power(crc, exponent));
    assert.equal(
      terms.reduce((sum, term) => sum ^ term),
      0n,
    );
    assert.deepEqual(
      [...crc.taps].sort((a, b) => a - b),
      [...crc.taps],
    );
    assert.ok(crc.taps[0]! >= 16 && degree <= 2048);
  });
}

test('two sides are compared by what both know', () => {
  const { md5, crc32: zip, crc64nvme: nvme } = published as Required<Checksums>;
  assert.deepEqual(compareChecksums({ md5, crc64nvme: nvme }, { md5, crc32: zip }), { kind: 'same', by: ['md5'] });
  assert.deepEqual(compareChecksums({ md5 }, { crc32: zip }), { kind: 'unknown' });
  assert.deepEqual(compareChecksums({}, {}), { kind: 'unknown' });
  const other = '0'.repeat(8);
  assert.deepEqual(compareChecksums({ md5, crc32: zip }, { md5, crc32: other }), {
    ...{ kind: 'different', by: 'crc32', left: zip, right: other },
  });
});

test('checksums go to the spelling of a store and come back', () => {
  assert.equal(toDecimal(published.crc64ecma!), '11051210869376104954');
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (value) => {
      const hex = value.toString(16).padStart(16, '0');
      assert.equal(fromDecimal(toDecimal(hex)), hex);
      assert.equal(fromBase64('crc64nvme', toBase64(hex)), hex);
    }),
  );
});

for (const text of ['', '-1', '18446744073709551616', '12a', '1'.repeat(21)]) {
  test(`"${text}" is no CRC of OSS`, () => assert.equal(fromDecimal(text), undefined));
}
for (const text of ['', 'AAAA', 'rosUhgp5mIg', '!!!!!!!!!!!=', 'rosUhgp5mIg=-2']) {
  test(`"${text}" is no CRC-64 in base64`, () => assert.equal(fromBase64('crc64nvme', text), undefined));
}
