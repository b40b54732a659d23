import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createCtr } from '../../activities/backup/repository/ctr.ts';
import { createSealer, masterKeyFrom, sealingOverhead } from '../../activities/backup/repository/sealing.ts';

const key = masterKeyFrom(randomBytes(64));

/** What the MAC has to be, by arithmetic on big integers (RFC 8439, section 2.5). */
function macOf(sealed: Uint8Array): string {
  const little = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex') || '0'}`);
  const [iv, ciphertext] = [sealed.subarray(0, 16), sealed.subarray(16, -16)];
  const r = little(key.macR) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  const s = little(createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false).update(iv));
  let sum = 0n;
  for (let at = 0; at < ciphertext.length; at += 16) {
    const block = ciphertext.subarray(at, at + 16);
    sum = ((sum + little(block) + (1n << BigInt(block.length * 8))) * r) % ((1n << 130n) - 5n);
  }
  const mac = BigInt.asUintN(128, sum + s)
    .toString(16)
    .padStart(32, '0');
  return Buffer.from(Buffer.from(mac, 'hex').toReversed()).toString('hex');
}

function plaintextOf(sealed: Uint8Array): Uint8Array {
  return createDecipheriv('aes-256-ctr', key.encrypt, sealed.subarray(0, 16)).update(sealed.subarray(16, -16));
}

const sizes = fc.oneof(
  fc.integer({ min: 0, max: 100 }),
  fc.constantFrom(15, 16, 17, 4095, 4096, 49_151, 49_152, 49_153, 65_536, 100_001),
);

test('what is sealed, one after the other, is AES-256-CTR and Poly1305-AES of each alone', () => {
  const sealer = createSealer(key);
  fc.assert(
    fc.property(fc.array(sizes, { minLength: 1, maxLength: 6 }), (lengths) => {
      for (const length of lengths) {
        const plaintext = randomBytes(length);
        const sealed = sealer.seal(plaintext);
        assert.equal(sealed.length, length + sealingOverhead);
        assert.deepEqual(Buffer.from(plaintextOf(sealed)), plaintext);
        assert.equal(Buffer.from(sealed.subarray(-16)).toString('hex'), macOf(sealed));
      }
    }),
    { numRuns: 60 },
  );
});

test('what is sealed opens, in any order and out of any place in a buffer', () => {
  const sealer = createSealer(key);
  const other = createSealer(key);
  fc.assert(
    fc.property(fc.array(sizes, { minLength: 1, maxLength: 8 }), fc.nat(), (lengths, seed) => {
      const texts = lengths.map((length) => randomBytes(length));
      const pack = new Uint8Array(lengths.reduce((sum, length) => sum + length + sealingOverhead, 3));
      let at = 3;
      const places = texts.map((text, i) => {
        const begin = at;
        at += (i % 3 === 2 ? other : sealer).sealInto(pack, at, text);
        return { begin, end: at, text };
      });
      const order = seed % 2 === 0 ? places : places.toReversed();
      for (const { begin, end, text } of order) {
        const opened = sealer.open(pack.subarray(begin, end));
        assert.ok(opened !== null && Buffer.from(opened).equals(text));
      }
    }),
    { numRuns: 60 },
  );
});

test('one flipped bit anywhere, or a byte too few, and nothing opens', () => {
  const sealer = createSealer(key);
  const sealed = sealer.seal(randomBytes(100));
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const flipped = Uint8Array.from(sealed);
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.equal(sealer.open(flipped), null, `bit ${bit}`);
  }
  for (let length = 0; length < sealed.length; length += 1) assert.equal(sealer.open(sealed.subarray(0, length)), null);
  assert.equal(createSealer(masterKeyFrom(randomBytes(64))).open(sealed), null);
});

const counters = [
  { name: 'the last 32 bits run over', iv: `${'00'.repeat(12)}fffffffe` },
  { name: 'all 128 bits run over', iv: `${'ff'.repeat(15)}fe` },
  { name: 'nothing runs over', iv: `${'01'.repeat(16)}` },
];
for (const { name, iv } of counters) {
  test(`counters go on as AES-CTR has it where ${name}`, () => {
    const ctr = createCtr(key.encrypt);
    let counter = Buffer.from(iv, 'hex');
    // The second one goes on where the first ended, as blobs in a pack do.
    for (const length of [100, 60_000, 7, 100]) {
      const plaintext = randomBytes(length);
      const ciphertext = createCipheriv('aes-256-ctr', key.encrypt, counter).update(plaintext);
      assert.ok(Buffer.from(ctr.decrypt(counter, ciphertext)).equals(plaintext), `${length} bytes`);
      const next = BigInt.asUintN(128, BigInt(`0x${counter.toString('hex')}`) + BigInt(Math.ceil(length / 16)));
      counter = Buffer.from(next.toString(16).padStart(32, '0'), 'hex');
    }
  });
}

test('no counter is used twice', () => {
  const sealer = createSealer(key);
  const used: { from: bigint; to: bigint }[] = [];
  for (let i = 0; i < 300; i += 1) {
    const sealed = sealer.seal(Buffer.alloc(i % 50 === 0 ? 20_000_000 : i));
    const from = BigInt(`0x${Buffer.from(sealed.subarray(0, 16)).toString('hex')}`);
    const to = from + BigInt(Math.ceil((sealed.length - sealingOverhead) / 16));
    assert.ok(
      used.every((other) => to <= other.from || from >= other.to),
      `piece ${i}`,
    );
    if (to > from) used.push({ from, to });
  }
});
