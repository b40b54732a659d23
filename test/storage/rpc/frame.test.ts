import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type Frame,
  FrameError,
  frameKind,
  headerBytes,
  maxBodyBytes,
  maxHelloBytes,
  maxTailBytes,
  writeHeader,
} from '../../../storage-node/rpc/frame.ts';
import { Intake } from '../../../storage-node/rpc/intake.ts';
import { countedMemory } from './loopback.ts';

interface Sample {
  kind: number;
  stream: number;
  body: Uint8Array;
  tail: Uint8Array;
}

function encode({ kind, stream, body, tail }: Sample): Buffer {
  const header = Buffer.alloc(headerBytes);
  const sizes = { bodyBytes: body.length, tailBytes: tail.length };
  writeHeader(header, 0, { ...sizes, stream, kind, flags: 0, method: 7, drive: 2 });
  return Buffer.concat([header, body, tail]);
}

/** Gives the bytes to an intake in pieces of the given sizes, over and over, and answers what it made of them. */
function feed(bytes: Buffer, sizes: readonly number[]): { frames: Sample[]; memory: ReturnType<typeof countedMemory> } {
  const memory = countedMemory();
  const frames: Sample[] = [];
  const intake = new Intake(memory.take, (frame: Frame) => {
    const { kind, stream, body, tail, tailBytes } = frame;
    frames.push({ kind, stream, body: Buffer.from(body), tail: Buffer.from(tail?.bytes.subarray(0, tailBytes) ?? []) });
    tail?.release();
  });
  intake.open();
  let at = 0;
  for (let turn = 0; at < bytes.length; turn++) {
    const into = intake.next();
    assert.ok(into.length > 0);
    const count = Math.min(into.length, sizes[turn % sizes.length]!, bytes.length - at);
    into.set(bytes.subarray(at, at + count));
    at += count;
    intake.advance(count);
  }
  intake.close();
  return { frames, memory };
}

const small = fc.record({
  kind: fc.constantFrom(frameKind.call, frameKind.reply, frameKind.oneWay),
  stream: fc.nat(0xffff_ffff),
  body: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.nat(120_000).map((size) => new Uint8Array(size).fill(size & 0xff)),
  ),
  tail: fc.constant(new Uint8Array(0)),
});
const block = fc.record({
  kind: fc.constant(frameKind.block),
  stream: fc.nat(0xffff_ffff),
  body: fc.uint8Array({ minLength: 12, maxLength: 12 }),
  tail: fc.integer({ min: 1, max: 150_000 }).map((size) => Buffer.alloc(size, `tail ${size}`)),
});

test('frames come out as they went in, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(small, block), { maxLength: 12 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70_000 })), {
        minLength: 1,
        maxLength: 6,
      }),
      (samples, sizes) => {
        const pieces = sizes.map((size, index) => (index === 0 ? Math.max(size, 500) : size));
        const { frames, memory } = feed(Buffer.concat(samples.map(encode)), pieces);
        assert.deepEqual(
          frames.map((frame) => [frame.kind, frame.stream]),
          samples.map((sample) => [sample.kind, sample.stream]),
        );
        for (const [index, frame] of frames.entries()) {
          assert.ok(Buffer.from(samples[index]!.body).equals(frame.body));
          assert.ok(Buffer.from(samples[index]!.tail).equals(frame.tail));
        }
        assert.equal(memory.inUse, 0);
      },
    ),
    { numRuns: 60 },
  );
});

test('the greater part of a tail lands in its own memory without passing through the scratch', () => {
  const tail = Buffer.alloc(512 * 1024, 9);
  const bytes = encode({ kind: frameKind.block, stream: 1, body: Buffer.alloc(12), tail });
  const into: number[] = [];
  const memory = countedMemory();
  const intake = new Intake(memory.take, (frame) => frame.tail?.release());
  intake.open();
  for (let at = 0; at < bytes.length;) {
    const room = intake.next();
    const count = Math.min(room.length, bytes.length - at);
    room.set(bytes.subarray(at, at + count));
    into.push(count);
    at += count;
    intake.advance(count);
  }
  assert.equal(into.length, 2, 'one read into the scratch, one for all the rest');
  assert.equal(memory.inUse, 0);
});

test('an unfinished tail gives its memory back when the connection ends', () => {
  const memory = countedMemory();
  const intake = new Intake(memory.take, () => assert.fail('not a whole frame'));
  intake.open();
  const bytes = encode({ kind: frameKind.block, stream: 1, body: Buffer.alloc(12), tail: Buffer.alloc(100_000) });
  intake.next().set(bytes.subarray(0, 5_000));
  intake.advance(5_000);
  assert.equal(memory.inUse, 1);
  intake.close();
  assert.equal(memory.inUse, 0);
});

describe('what no frame is ends the connection', () => {
  const header = (change: Partial<Parameters<typeof writeHeader>[2]>): Buffer => {
    const bytes = Buffer.alloc(headerBytes);
    const common = { bodyBytes: 0, tailBytes: 0, stream: 1, kind: frameKind.call, flags: 0, method: 1, drive: 0 };
    writeHeader(bytes, 0, { ...common, ...change });
    return bytes;
  };
  const cases = [
    { name: 'a kind below the first', bytes: header({ kind: 0 }) },
    { name: 'a kind above the last', bytes: header({ kind: 13 }) },
    { name: 'a flag nobody knows', bytes: header({ flags: 2 }) },
    { name: 'a body above the limit', bytes: header({ bodyBytes: maxBodyBytes + 1 }) },
    { name: 'a tail above the limit', bytes: header({ kind: frameKind.block, tailBytes: maxTailBytes + 1 }) },
    { name: 'a tail on a call', bytes: header({ tailBytes: 1 }) },
    { name: 'a block with a long body', bytes: header({ kind: frameKind.block, bodyBytes: 65, tailBytes: 1 }) },
    { name: 'a request of HTTP', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n') },
    { name: 'a hello of TLS', bytes: Buffer.from('1603010200010001fc0303a5a5a5a5a5a5a5a5', 'hex') },
  ];
  for (const { name, bytes } of cases) {
    test(name, () => assert.throws(() => feed(bytes, [1000]), FrameError));
  }
  test('a long body before the handshake', () => {
    const intake = new Intake(countedMemory().take, () => {});
    const bytes = header({ kind: frameKind.hello, bodyBytes: maxHelloBytes + 1 });
    intake.next().set(bytes);
    assert.throws(() => intake.advance(bytes.length), FrameError);
  });
});
