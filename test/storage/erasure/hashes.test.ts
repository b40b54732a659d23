import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { xxhash64 } from 'hash-wasm';
import { createKernels } from '../../../storage-node/erasure/kernels.ts';
import { combineChecksums, createChecksum } from '../../../storage-node/hash/checksums.ts';
import { type ChecksumAlgorithm, type Part } from '../../../storage-node/object/model.ts';
import { seeded } from '../support/memory-set.ts';

const kernels = createKernels();

test('XXH64 is that of the specification, for every length and seed', async () => {
  assert.equal(kernels.xxh64Of(new Uint8Array(0), 0n), 0xef46_db37_51d8_e999n);
  for (const length of [1, 3, 4, 7, 8, 31, 32, 33, 63, 64, 100, 4095, 100_001]) {
    const bytes = randomBytes(length);
    const [low, high] = [randomBytes(4).readUInt32BE(), randomBytes(4).readUInt32BE()];
    const seed = (BigInt(high) << 32n) | BigInt(low);
    assert.equal(kernels.xxh64Of(bytes, seed).toString(16).padStart(16, '0'), await xxhash64(bytes, low, high));
  }
});

for (const streams of [1, 2, 3, 4, 5, 8, 9, 20]) {
  test(`MD5 of ${streams} uploads at once, whatever pieces they come in`, async () => {
    const random = seeded(streams);
    const before = kernels.arena.inUseBytes;
    const bodies = Array.from({ length: streams }, (_, i) => randomBytes(Math.floor(random() * 200_000) + i));
    const digests = await Promise.all(
      bodies.map(async (body) => {
        const stream = kernels.md5();
        for (let at = 0; at < body.length;) {
          const length = Math.min(body.length - at, 1 + Math.floor(random() * 40_000));
          stream.updateBytes(body.subarray(at, at + length));
          at += length;
          if (random() < 0.2) await new Promise((resolve) => setImmediate(resolve));
        }
        return Buffer.from(await stream.digest()).toString('hex');
      }),
    );
    bodies.forEach((body, i) => assert.equal(digests[i], createHash('md5').update(body).digest('hex')));
    assert.ok(kernels.arena.inUseBytes - before < 4096, 'every piece was given back');
  });
}

test('an upload that is given up disturbs no other', async () => {
  const [one, other] = [kernels.md5(), kernels.md5()];
  const body = randomBytes(300_000);
  one.updateBytes(body.subarray(0, 100_000));
  other.updateBytes(body);
  one.abort();
  assert.equal(Buffer.from(await other.digest()).toString('hex'), createHash('md5').update(body).digest('hex'));
});

for (const [algorithm, want] of [
  ['CRC32', 'cbf43926'],
  ['CRC32C', 'e3069283'],
  ['CRC64NVME', 'ae8b14860a799888'],
  ['SHA1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
  ['SHA256', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'],
] as const) {
  test(`${algorithm} of "123456789", in one piece and in many`, () => {
    const whole = createChecksum(algorithm);
    whole.update(Buffer.from('123456789'));
    const pieces = createChecksum(algorithm);
    for (const char of '123456789') pieces.update(Buffer.from(char));
    assert.equal(Buffer.from(whole.digest()).toString('hex'), want);
    assert.equal(Buffer.from(pieces.digest()).toString('hex'), want);
  });
}

test('CRCs of parts combine to that of the whole', () => {
  for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
    const bodies = [randomBytes(70_001), randomBytes(5), randomBytes(123_456)];
    const parts = bodies.map((body, i) => partOf(algorithm, body, i + 1));
    const combined = combineChecksums(parts, 'FULL_OBJECT');
    assert.deepEqual(combined, { algorithm, value: valueOf(algorithm, Buffer.concat(bodies)), type: 'FULL_OBJECT' });
  }
});

test('a composite checksum is that of the parts’ checksums, with their number', () => {
  const bodies = [randomBytes(10), randomBytes(20)];
  const parts = bodies.map((body, i) => partOf('SHA256', body, i + 1));
  const sums = bodies.map((body) => createHash('sha256').update(body).digest());
  const want = `${createHash('sha256').update(Buffer.concat(sums)).digest('base64')}-2`;
  assert.equal(combineChecksums(parts, undefined)?.value, want);
});

function valueOf(algorithm: ChecksumAlgorithm, body: Uint8Array): string {
  const running = createChecksum(algorithm);
  running.update(body);
  return Buffer.from(running.digest()).toString('base64');
}

function partOf(algorithm: ChecksumAlgorithm, body: Buffer, number: number): Part {
  const checksum = { algorithm, value: valueOf(algorithm, body), type: 'FULL_OBJECT' as const };
  return { number, sizeBytes: body.length, md5: '', checksum, dataId: Buffer.alloc(16), small: true };
}
