import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createKernels } from '../../../storage-node/erasure/kernels.ts';
import { generatorMatrix, invert } from '../../../storage-node/erasure/matrix.ts';
import { encodePlainly, reconstructPlainly } from '../../../storage-node/erasure/oracle.ts';
import { type Slab } from '../../../storage-node/erasure/types.ts';

const kernels = createKernels();

/** All ways to take k of n, each in ascending order. */
function* subsets(n: number, k: number, from = 0, taken: number[] = []): Generator<number[]> {
  if (taken.length === k) {
    yield taken;
    return;
  }
  for (let i = from; i <= n - (k - taken.length); i++) yield* subsets(n, k, i + 1, [...taken, i]);
}

/** Shards of random data, coded by the kernels; give the slabs back with `end`. */
function coded(setSize: number, length: number): { shards: Slab[]; end: () => void } {
  const half = setSize / 2;
  const shards = Array.from({ length: setSize }, () => kernels.arena.take(length));
  for (const shard of shards.slice(0, half)) shard.bytes.set(randomBytes(length));
  const addresses = shards.map(({ at }) => at);
  kernels.code(setSize).encode(addresses.slice(0, half), addresses.slice(half), length);
  return { shards, end: () => shards.forEach((shard) => shard.release()) };
}

for (const setSize of [4, 8, 12, 16]) {
  const half = setSize / 2;
  test(`${half}+${half}: every way to lose half of the shards can be decoded`, () => {
    const generator = generatorMatrix(half, half);
    let count = 0;
    for (const present of subsets(setSize, half)) {
      assert.ok(invert(present.map((shard) => generator[shard]!)) !== undefined, present.join(' '));
      count += 1;
    }
    assert.equal(count, { 4: 6, 8: 70, 12: 924, 16: 12_870 }[setSize]);
  });

  test(`${half}+${half}: kernels make the parity that the plain code makes, for every length of block`, () => {
    for (const length of [64, 128, 192, 1024, 4032, 4096, 4160, 8192, 10_048]) {
      const { shards, end } = coded(setSize, length);
      const plain = encodePlainly(
        shards.slice(0, half).map(({ bytes }) => Uint8Array.from(bytes)),
        half,
      );
      plain.forEach((bytes, i) => assert.ok(Buffer.from(bytes).equals(shards[half + i]!.bytes), `length ${length}`));
      end();
    }
  });

  test(`${half}+${half}: kernels give back what was lost`, () => {
    const length = 4096 + 64;
    const { shards, end } = coded(setSize, length);
    const all = [...subsets(setSize, half)];
    // Every subset of the small codes, an even sample of the large ones.
    const chosen = all.filter((_, i) => i % Math.ceil(all.length / 150) === 0);
    for (const present of chosen) {
      const lost = shards.map((_, i) => i).filter((i) => !present.includes(i));
      const made = lost.map((shard) => ({ shard, slab: kernels.arena.take(length) }));
      kernels.code(setSize).reconstruct(
        present.toReversed().map((shard) => ({ shard, at: shards[shard]!.at })),
        made.map(({ shard, slab }) => ({ shard, at: slab.at })),
        length,
      );
      for (const { shard, slab } of made) {
        assert.ok(Buffer.from(slab.bytes).equals(shards[shard]!.bytes), `shard ${shard} from ${present.join(' ')}`);
        slab.release();
      }
    }
    end();
  });
}

test('the plain code decodes what it encodes', () => {
  const data = [randomBytes(256), randomBytes(256)];
  const parity = encodePlainly(data, 2);
  const present = [
    { shard: 2, bytes: parity[0]! },
    { shard: 3, bytes: parity[1]! },
  ];
  reconstructPlainly(present, [0, 1], 2).forEach((bytes, i) => assert.ok(data[i]!.equals(bytes)));
});

test('a slab given back twice is a bug that shows', () => {
  const slab = kernels.arena.take(100);
  slab.release();
  assert.throws(() => slab.release(), /twice/);
});

test('the arena hands out pieces that stay where they are, large ones on sectors', () => {
  const own = createKernels();
  const first = own.arena.take(1_000);
  first.bytes.fill(7);
  const many = Array.from({ length: 20 }, () => own.arena.take(1024 * 1024));
  assert.ok(first.bytes.every((byte) => byte === 7));
  for (const { at } of many) assert.equal(at % 512, 0);
  assert.equal(own.arena.addressOf(first.bytes.subarray(10)), first.at + 10);
  assert.equal(own.arena.addressOf(many[19]!.bytes), many[19]!.at);
  assert.equal(own.arena.addressOf(new Uint8Array(4)), undefined);
  for (const slab of [first, ...many]) slab.release();
  assert.equal(own.arena.inUseBytes, 0);
});

test('an arena that is full says so, and goes on when something was given back', () => {
  const own = createKernels({ maximumBytes: 2 ** 20 });
  const half = own.arena.take(2 ** 19);
  assert.throws(() => own.arena.take(2 ** 20), /1048576 bytes are all in use/);
  half.release();
  own.arena.take(2 ** 19).release();
});
