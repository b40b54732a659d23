import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { blobId, openBlob, type PackEntry } from '../../activities/backup/repository/blob.ts';
import { headerOf, parseHeader, parsePackHeader } from '../../activities/backup/repository/pack-header.ts';
import { createPackBuilder } from '../../activities/backup/repository/pack.ts';
import { createSealer, randomMasterKey } from '../../activities/backup/repository/sealing.ts';
import { createZstd } from '../../activities/backup/kernels/zstd.ts';

const tools = { sealer: createSealer(randomMasterKey()), zstd: createZstd() };

const content = fc.oneof(
  fc.nat(3000).map((length) => Buffer.alloc(length + 1, 'text ')),
  fc.nat(3000).map((length) => randomBytes(length + 1)),
);

test('every blob of a pack is found where its header says, and its name is its hash', () => {
  fc.assert(
    fc.property(fc.array(content, { minLength: 1, maxLength: 40 }), fc.boolean(), (blobs, compress) => {
      const builder = createPackBuilder(tools, 'data', { compress });
      const added = blobs.map((blob) => builder.add(blobId(blob), blob));
      const pack = builder.finish();
      assert.equal(createHash('sha256').update(pack.bytes).digest('hex'), pack.name);
      const entries = parsePackHeader(tools, pack.bytes);
      assert.deepEqual(entries, pack.entries);
      assert.deepEqual(entries, added);
      for (const [i, entry] of pack.entries.entries()) {
        const opened = openBlob(tools, pack.bytes.subarray(entry.offset, entry.offset + entry.length), entry);
        assert.ok(opened.kind === 'intact' && Buffer.from(opened.plaintext).equals(blobs[i] as Buffer));
      }
    }),
    { numRuns: 40 },
  );
});

test("the bytes of a pack are its owner's until they are given back", () => {
  const builder = createPackBuilder(tools, 'tree', { targetBytes: 4000 });
  const first = randomBytes(3000);
  builder.add(blobId(first), first);
  assert.equal(builder.full, false);
  const second = randomBytes(3000);
  builder.add(blobId(second), second);
  assert.equal(builder.full, true);
  const pack = builder.finish();
  assert.deepEqual([builder.full, builder.sizeBytes, builder.blobCount], [false, 0, 0]);
  for (let i = 0; i < 3; i += 1) {
    const next = randomBytes(5000);
    builder.add(blobId(next), next);
    builder.recycle(builder.finish().bytes);
    assert.equal(createHash('sha256').update(pack.bytes).digest('hex'), pack.name);
  }
});

test('a sealed blob is taken over as it lies in another pack', () => {
  const from = createPackBuilder(tools, 'data');
  const to = createPackBuilder(tools, 'data');
  const blob = Buffer.alloc(50_000, 'abc');
  const filler = randomBytes(100);
  to.add(blobId(filler), filler);
  from.add(blobId(blob), blob);
  const old = from.finish();
  const entry = old.entries[0] as PackEntry;
  const moved = to.addSealed(entry, old.bytes.subarray(entry.offset, entry.offset + entry.length));
  const pack = to.finish();
  const opened = openBlob(tools, pack.bytes.subarray(moved.offset, moved.offset + moved.length), moved);
  assert.ok(opened.kind === 'intact' && Buffer.from(opened.plaintext).equals(blob));
});

test('a pack that is cut short, longer, or changed at its end is told apart', () => {
  const builder = createPackBuilder(tools, 'data');
  for (let i = 0; i < 5; i += 1) builder.add(blobId(Buffer.from([i])), Buffer.from([i]));
  const { bytes } = builder.finish();
  for (let length = 0; length < bytes.length; length += 1) {
    assert.equal(typeof parsePackHeader(tools, bytes.subarray(0, length)), 'string', `${length} bytes`);
  }
  assert.equal(typeof parsePackHeader(tools, Buffer.concat([Buffer.alloc(1), bytes])), 'string');
  for (let at = bytes.length - 100; at < bytes.length; at += 1) {
    const changed = Uint8Array.from(bytes);
    changed[at] = (changed[at] as number) ^ 1;
    assert.equal(typeof parsePackHeader(tools, changed), 'string', `byte ${at}`);
  }
});

test('headers of any bytes are parsed or refused, never more', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseHeader(bytes)));
  const entry: PackEntry = {
    type: 'tree',
    id: randomBytes(32),
    offset: 0,
    length: 2 ** 32 - 1,
    uncompressedLength: 2 ** 32 - 1,
  };
  assert.deepEqual(parseHeader(headerOf([entry])), [{ ...entry, id: Uint8Array.from(entry.id) }]);
});

test('one kept zstd context compresses what zlib decompresses, and the other way round', () => {
  fc.assert(
    fc.property(content, (bytes) => {
      const compressed = tools.zstd.compress(bytes)?.slice();
      if (compressed === undefined) assert.ok(zstdCompressSync(bytes).length >= bytes.length);
      else assert.ok(compressed.length < bytes.length && zstdDecompressSync(compressed).equals(bytes));
      const theirs = zstdCompressSync(bytes);
      assert.ok(Buffer.from(tools.zstd.decompress(theirs, bytes.length) ?? []).equals(bytes));
      assert.equal(tools.zstd.decompress(theirs, bytes.length + 1), null);
      assert.equal(tools.zstd.decompress(theirs.subarray(0, -5), bytes.length), null);
    }),
    { numRuns: 100 },
  );
});

test('a length that was forged small does not unpack more than it says', () => {
  const bomb = zstdCompressSync(Buffer.alloc(50_000_000));
  assert.equal(tools.zstd.decompress(bomb, 10), null);
});
