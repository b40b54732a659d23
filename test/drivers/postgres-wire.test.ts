/** What comes over the wire in a base backup: messages and an archive, in pieces of any size. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BackendReader } from '../../activities/drivers/postgres/replication.ts';
import { TarReader, type TarEntry } from '../../activities/drivers/postgres/tar.ts';

/** A minimal archive: header, data, padding, two blocks of zeros. */
function archive(files: { name: string; data: Buffer }[]): Buffer {
  const blocks = files.flatMap(({ name, data }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000600\0', 100);
    header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('0', 156);
    header.write('ustar\0', 257);
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function readTar(pieces: Buffer[]): { name: string; data: Buffer }[] {
  const files: { name: string; parts: Buffer[] }[] = [];
  const reader = new TarReader({
    entry: (entry: TarEntry) => void files.push({ name: entry.name, parts: [] }),
    data: (bytes) => void files.at(-1)?.parts.push(bytes),
  });
  for (const piece of pieces) reader.feed(piece);
  reader.end();
  return files.map(({ name, parts }) => ({ name, data: Buffer.concat(parts) }));
}

test('an archive comes out as it went in, however it is cut into pieces', () => {
  const file = fc.record({
    name: fc.stringMatching(/^[a-z]{1,20}$/),
    data: fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes)),
  });
  fc.assert(
    fc.property(
      fc.array(file, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1 }),
      (files, cuts) => {
        const bytes = archive(files);
        const pieces: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(
          readTar(pieces),
          files.map(({ name, data }) => ({ name, data })),
        );
      },
    ),
  );
});

test('an archive with a flipped bit in a header, or cut short, is refused', () => {
  const bytes = archive([{ name: 'a', data: Buffer.from('hello') }]);
  const flipped = Buffer.from(bytes);
  flipped[1] = 0x41;
  assert.throws(() => readTar([flipped]), /checksum/);
  assert.throws(() => readTar([bytes.subarray(0, 514)]), /middle of a file/);
});

test('messages of the server are put together from any pieces, and its errors are thrown', () => {
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeUInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const row = Buffer.concat([Buffer.from([0, 2, 0, 0, 0, 1]), Buffer.from('x'), Buffer.from([255, 255, 255, 255])]);
  const bytes = Buffer.concat([
    message('D', row),
    message('d', Buffer.from('dpayload')),
    message('c', Buffer.alloc(0)),
    message('Z', Buffer.from('I')),
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), (size) => {
      const reader = new BackendReader();
      const pieces = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(...reader.feed(bytes.subarray(at, at + size)));
      const copied = Buffer.concat(
        pieces.map((piece) => (piece.kind === 'copy' ? piece.bytes : Buffer.alloc(0))),
      ).toString();
      assert.equal(copied, 'dpayload');
      assert.deepEqual(
        pieces.filter((piece) => piece.kind !== 'copy').map((piece) => piece.kind),
        ['row', 'copy-done', 'ready'],
      );
    }),
  );
  const error = message('E', Buffer.from('SFATAL\0C53300\0Mtoo many clients\0\0'));
  assert.throws(() => [...new BackendReader().feed(error)], /too many clients \(53300\)/);
});
