import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createKernelMemory } from '../../activities/backup/kernels/memory.ts';
import { createPoly1305, poly1305MemoryBytes } from '../../activities/backup/kernels/poly1305.ts';

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const times = (text: string, count: number): string => text.repeat(count);
const zeros = times('00', 16);

/** RFC 8439 §2.5.1, word for word, in numbers without limits. */
function reference(key: Uint8Array, message: Uint8Array): string {
  const number = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const r = number(key.subarray(0, 16)) & 0x0ffffffc_0ffffffc_0ffffffc_0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    const block = message.subarray(at, at + 16);
    sum = ((sum + number(block) + (1n << BigInt(block.length * 8))) * r) % ((1n << 130n) - 5n);
  }
  const tag = BigInt.asUintN(128, sum + number(key.subarray(16)));
  return toHex(hex(tag.toString(16).padStart(32, '0')).toReversed());
}

const contribution = Buffer.from(
  'Any submission to the IETF intended by the Contributor for publication as all or part of an IETF Internet-Draft or ' +
    'RFC and any statement made within the context of an IETF activity is considered an "IETF Contribution". Such ' +
    'statements include oral statements in IETF sessions, as well as written and electronic communications made at any ' +
    'time or place, which are addressed to',
).toString('hex');
const jabberwocky = Buffer.from(
  "'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\nAll mimsy were the borogoves,\n" +
    'And the mome raths outgrabe.',
).toString('hex');
const ietf = '36e5f6b5c5e06070f0efca96227a863e';
const one = `01${times('00', 15)}`;
const two = `02${times('00', 15)}`;
const sparse = `01${times('00', 7)}04${times('00', 7)}`;
const manyCarries = `e33594d7505e43b9${times('00', 8)}3394d7505e4379cd01${times('00', 7)}${zeros}`;

/** RFC 8439 §2.5.2 and appendix A.3. */
const vectors = [
  {
    name: 'the example',
    r: '85d6be7857556d337f4452fe42d506a8',
    s: '0103808afb0db2fd4abff6af4149f51b',
    message: Buffer.from('Cryptographic Forum Research Group').toString('hex'),
    tag: 'a8061dc1305136c6c22b8baf0c0127a9',
  },
  { name: '1: all zero', r: zeros, s: zeros, message: times(zeros, 4), tag: zeros },
  { name: '2: r is 0', r: zeros, s: ietf, message: contribution, tag: ietf },
  { name: '3: s is 0', r: ietf, s: zeros, message: contribution, tag: 'f3477e7cd95417af89a6b8794c310cf0' },
  {
    name: '4: a short last block',
    r: '1c9240a5eb55d38af333888604f6b5f0',
    s: '473917c1402b80099dca5cbc207075c0',
    message: jabberwocky,
    tag: '4541669a7eaaee61e708dc7cbcc5eb62',
  },
  { name: '5: the sum reaches 2^130', r: two, s: zeros, message: times('ff', 16), tag: `03${times('00', 15)}` },
  { name: '6: adding s passes 2^128', r: two, s: times('ff', 16), message: two, tag: `03${times('00', 15)}` },
  {
    name: '7: every limb is full and carries',
    r: one,
    s: zeros,
    message: `${times('ff', 16)}f0${times('ff', 15)}11${times('00', 15)}`,
    tag: `05${times('00', 15)}`,
  },
  {
    name: '8: the sum is the prime itself',
    r: one,
    s: zeros,
    message: `${times('ff', 16)}fb${times('fe', 15)}${times('01', 16)}`,
    tag: zeros,
  },
  { name: '9: just below the prime', r: two, s: zeros, message: `fd${times('ff', 15)}`, tag: `fa${times('ff', 15)}` },
  {
    name: '10: carries across products',
    r: sparse,
    s: zeros,
    message: `${manyCarries}${one}`,
    tag: '14000000000000005500000000000000',
  },
  {
    name: '11: the same without the last block',
    r: sparse,
    s: zeros,
    message: manyCarries,
    tag: `13${times('00', 15)}`,
  },
];

const poly1305 = createPoly1305();

for (const { name, r, s, message, tag } of vectors) {
  test(`Poly1305 of RFC 8439, ${name}`, () => {
    assert.equal(toHex(poly1305.mac(hex(r + s), hex(message))), tag);
    assert.equal(reference(hex(r + s), hex(message)), tag, 'the reference of these tests says the same');
  });
}

test('any message under any key has the tag that the definition gives', () => {
  const key = fc.oneof(
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.constantFrom(0x00, 0x01, 0x7f, 0x80, 0xff).map((byte) => new Uint8Array(32).fill(byte)),
  );
  const message = fc.oneof(
    fc.nat(4096).map((length) => randomBytes(length)),
    fc.tuple(fc.nat(4096), fc.constantFrom(0x00, 0x7f, 0x80, 0xff)).map(([n, byte]) => new Uint8Array(n).fill(byte)),
    fc.uint8Array({ maxLength: 64 }),
  );
  fc.assert(
    fc.property(key, message, (k, m) => {
      assert.equal(toHex(poly1305.mac(k, m)), reference(k, m));
    }),
    { numRuns: 400 },
  );
});

/** Where the kernel carries (7 blocks), reduces (125), and where a message is cut into slices (64 KiB). */
for (const length of [111, 112, 113, 1999, 2000, 2001, 2016, 65_535, 65_536, 65_537, 200_003]) {
  test(`extreme words in a message of ${length} bytes run over nowhere`, () => {
    for (const pattern of ['ff', '00', '0080', 'ff7f', '00800000', 'ff7fffff']) {
      const message = Buffer.alloc(length, pattern, 'hex');
      for (const key of [new Uint8Array(32).fill(0xff), Buffer.alloc(32, '01f0', 'hex'), randomBytes(32)]) {
        assert.equal(toHex(poly1305.mac(key, message)), reference(key, message), `${pattern} under ${toHex(key)}`);
      }
    }
  });
}

test('a message that lies in the kernel memory is read where it is, at any address', () => {
  const memory = createKernelMemory(poly1305MemoryBytes + 128 * 1024);
  const inside = createPoly1305(memory);
  const room = memory.take(100_000);
  room.set(randomBytes(room.length));
  const before = toHex(room);
  const key = randomBytes(32);
  for (const at of [0, 1, 7, 16, 33]) {
    for (const length of [0, 5, 16, 2000, 70_001]) {
      const message = room.subarray(at, at + length);
      assert.equal(toHex(inside.mac(key, message)), reference(key, message));
    }
  }
  assert.equal(toHex(room), before, 'messages are left as they were');
});

test('the tag is written where it is asked for, and the key may be of another message', () => {
  const [first, second] = [randomBytes(32), randomBytes(32)];
  const message = randomBytes(333);
  const out = new Uint8Array(48);
  for (const key of [first, second, first]) {
    poly1305.mac(key, message, out.subarray(16, 32));
    assert.equal(toHex(out), `${zeros}${reference(key, message)}${zeros}`);
  }
});

test('a key of another length is refused', () => {
  assert.throws(() => poly1305.mac(new Uint8Array(31), new Uint8Array(1)), RangeError);
});
