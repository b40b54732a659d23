import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StorageError } from '../../../storage-node/errors.ts';
import { readError, writeError } from '../../../storage-node/rpc/error-codec.ts';
import { WireError, WireReader, WireWriter } from '../../../storage-node/rpc/wire.ts';
import { DriveUnavailable } from '../../../storage-node/store/drive-api.ts';

/** One field of each kind: how it is made up, written and read. */
const fields = [
  { values: fc.boolean(), write: (w: WireWriter, v: boolean) => w.boolean(v), read: (r: WireReader) => r.boolean() },
  { values: fc.nat(255), write: (w: WireWriter, v: number) => w.byte(v), read: (r: WireReader) => r.byte() },
  { values: fc.maxSafeNat(), write: (w: WireWriter, v: number) => w.count(v), read: (r: WireReader) => r.count() },
  { values: fc.maxSafeNat(), write: (w: WireWriter, v: number) => w.ballot(v), read: (r: WireReader) => r.ballot() },
  {
    values: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    write: (w: WireWriter, v: bigint) => w.checksum(v),
    read: (r: WireReader) => r.checksum(),
  },
  {
    values: fc.string({ unit: 'grapheme' }),
    write: (w: WireWriter, v: string) => w.text(v),
    read: (r: WireReader) => r.text(),
  },
  {
    values: fc.option(fc.string(), { nil: undefined }),
    write: (w: WireWriter, v: string | undefined) => w.optionalText(v),
    read: (r: WireReader) => r.optionalText(),
  },
  {
    values: fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
    write: (w: WireWriter, v: Buffer) => w.bytes(v),
    read: (r: WireReader) => r.bytes(),
  },
  {
    values: fc.array(fc.maxSafeNat(), { maxLength: 20 }),
    write: (w: WireWriter, v: number[]) => w.list(v, (to, item) => to.count(item)),
    read: (r: WireReader) => r.list((from) => from.count()),
  },
] as { values: fc.Arbitrary<unknown>; write: (w: WireWriter, v: unknown) => void; read: (r: WireReader) => unknown }[];

const anyFields = fc.array(
  fc.nat(fields.length - 1).chain((index) => fields[index]!.values.map((value) => ({ index, value }))),
  { maxLength: 20 },
);

function written(items: readonly { index: number; value: unknown }[]): Buffer {
  const writer = new WireWriter(Buffer.alloc(4));
  for (const { index, value } of items) fields[index]!.write(writer, value);
  return Buffer.from(writer.buffer.subarray(0, writer.at));
}

test('every field is read as it was written, and nothing is left', () => {
  fc.assert(
    fc.property(anyFields, (items) => {
      const reader = new WireReader(written(items));
      for (const { index, value } of items) assert.deepEqual(fields[index]!.read(reader), value);
      reader.end();
    }),
  );
});

test('a message cut short is a WireError, whichever field it was cut in', () => {
  fc.assert(
    fc.property(anyFields, fc.nat(), (items, at) => {
      const bytes = written(items);
      if (bytes.length === 0) return;
      const reader = new WireReader(bytes.subarray(0, at % bytes.length));
      assert.throws(() => {
        for (const { index } of items) fields[index]!.read(reader);
        reader.end();
      }, WireError);
    }),
  );
});

test('any bytes are read as something or are a WireError, and never take more memory than they have', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(fields.length - 1)), (bytes, order) => {
      const reader = new WireReader(Buffer.from(bytes));
      try {
        for (const index of order) fields[index]!.read(reader);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }),
  );
});

test('what is no count is not written as one', () => {
  for (const value of [-1, 1.5, Number.POSITIVE_INFINITY, Number.NaN, 2 ** 53]) {
    assert.throws(() => new WireWriter().count(value), WireError);
  }
});

test('more bytes than the message should have are noticed', () => {
  assert.throws(() => new WireReader(Buffer.from([1])).end(), WireError);
});

test('errors keep what others decide by', () => {
  const through = (error: unknown): Error => {
    const writer = new WireWriter();
    writeError(writer, error);
    return readError(new WireReader(writer.buffer.subarray(0, writer.at)));
  };
  const details = { bucketChanged: '1', versionId: 'é' };
  const refused = through(new StorageError('Busy', 'try again', { details }));
  assert.ok(refused instanceof StorageError);
  assert.deepEqual([refused.code, refused.message, refused.details], ['Busy', 'try again', details]);
  const gone = through(new DriveUnavailable('the drive stopped'));
  assert.ok(gone instanceof DriveUnavailable);
  assert.equal(gone.message, 'the drive stopped');
  const other = through(new TypeError('x is not a function'));
  assert.ok(other instanceof StorageError && other.code === 'Internal');
});

test('a code this build does not know becomes Internal', () => {
  const writer = new WireWriter();
  for (const text of ['FromTheFuture', 'something new']) writer.text(text);
  writer.count(0);
  const error = readError(new WireReader(writer.buffer.subarray(0, writer.at)));
  assert.ok(error instanceof StorageError && error.code === 'Internal' && error.message === 'something new');
});
