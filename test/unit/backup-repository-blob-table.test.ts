import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  attachBlobTable,
  createBlobTable,
  noSlot,
  type BlobLocation,
  type BlobTable,
  type BlobType,
} from '../../activities/backup/repository/blob-table.ts';

/** Ids that are like one another in what the table looks at first: the tag, and where the search begins. */
const id = fc.oneof(
  fc.nat(200).map((n) => createHash('sha256').update(String(n)).digest()),
  fc.nat(3).chain((tag) => fc.nat(3).map((rest) => Buffer.concat([Buffer.of(tag, 0, 0, 0), Buffer.alloc(28, rest)]))),
);
const type = fc.constantFrom<BlobType>('data', 'tree');
const word = fc.oneof(fc.nat(), fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1));
const location = fc.record(
  { pack: word, offset: word, length: word, uncompressedLength: word },
  { noNullPrototype: true },
);

type Step =
  | { do: 'claim' | 'find' | 'release' | 'mark'; type: BlobType; id: Buffer }
  | { do: 'store' | 'add'; type: BlobType; id: Buffer; location: BlobLocation };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('claim' as const, 'find' as const, 'release' as const, 'mark' as const), type, id }),
  fc.record({ do: fc.constantFrom('store' as const, 'add' as const), type, id, location }),
);

interface Modelled {
  slot: number;
  location: BlobLocation | null;
  marked: boolean;
}

function take(table: BlobTable, model: Map<string, Modelled>, step: Step): void {
  const key = `${step.type} ${step.id.toString('hex')}`;
  const known = model.get(key);
  switch (step.do) {
    case 'find':
      assert.equal(table.find(step.type, step.id), known?.slot ?? noSlot);
      return;
    case 'claim': {
      const slot = table.claim(step.type, step.id);
      assert.equal(slot === noSlot, known !== undefined);
      if (slot !== noSlot) model.set(key, { slot, location: null, marked: table.isMarked(slot, 'used') });
      return;
    }
    case 'add': {
      assert.equal(table.add(step.type, step.id, step.location), known === undefined);
      const slot = table.find(step.type, step.id);
      if (known === undefined) model.set(key, { slot, location: step.location, marked: table.isMarked(slot, 'used') });
      return;
    }
    case 'store':
      if (known === undefined) return;
      table.store(known.slot, step.location);
      known.location = step.location;
      return;
    case 'release':
      if (known === undefined || known.location !== null) return;
      table.release(known.slot);
      model.delete(key);
      return;
    case 'mark':
      if (known === undefined) return;
      assert.equal(table.mark(known.slot, 'used'), !known.marked);
      known.marked = true;
  }
}

test('whatever is done to the table, it holds what a map would', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const table = createBlobTable();
      const attached = attachBlobTable(table.describe());
      const model = new Map<string, Modelled>();
      for (const [i, each] of steps.entries()) take(i % 2 === 0 ? table : attached, model, each);
      assert.equal(table.blobCount, model.size);
      const found = new Map<string, Modelled>();
      table.forEach((slot) => {
        const key = `${attached.typeOf(slot)} ${Buffer.from(attached.idOf(slot)).toString('hex')}`;
        found.set(key, { slot, location: attached.location(slot), marked: attached.isMarked(slot, 'used') });
      });
      assert.deepEqual(found, model);
    }),
    { numRuns: 200 },
  );
});

test('a table that grew over several segments finds every blob, in every view, and no other', () => {
  const table = createBlobTable();
  const early = attachBlobTable(table.describe());
  const count = 60_000;
  const ids = randomBytes(count * 32);
  const at = (i: number): Uint8Array => ids.subarray(i * 32, i * 32 + 32);
  for (let i = 0; i < count; i += 1) {
    assert.ok(table.add('data', at(i), { pack: i % 100, offset: i, length: i + 1, uncompressedLength: 2 * i }));
  }
  for (const view of [table, early, attachBlobTable(table.describe())]) {
    assert.equal(view.blobCount, count);
    for (let i = 0; i < count; i += 1) {
      const slot = view.find('data', ids, i * 32);
      assert.deepEqual(view.location(slot), { pack: i % 100, offset: i, length: i + 1, uncompressedLength: 2 * i });
    }
    assert.equal(view.find('tree', at(0)), noSlot);
    for (let i = 0; i < 1000; i += 1) assert.equal(view.find('data', randomBytes(32)), noSlot);
    for (let i = 0; i < count; i += 97)
      assert.ok(!view.add('data', at(i), { pack: 0, offset: 0, length: 0, uncompressedLength: 0 }));
  }
  const parts = [0, 0, 0, 0];
  for (const index of parts.keys())
    table.forEach(() => (parts[index] = (parts[index] as number) + 1), { index, of: 4 });
  assert.equal(
    parts.reduce((sum, part) => sum + part, 0),
    count,
  );
  assert.ok(table.sizeBytes / count < 130, `${table.sizeBytes / count} bytes a blob`);
});

test('packs keep their numbers and names while their number grows', () => {
  const table = createBlobTable();
  const attached = attachBlobTable(table.describe());
  const ids = Array.from({ length: 10_000 }, () => randomBytes(32));
  for (const [i, each] of ids.entries()) assert.equal((i % 2 ? table : attached).addPack(each), i);
  assert.equal(table.packCount, ids.length);
  for (const [i, each] of ids.entries()) assert.equal(table.packName(i), each.toString('hex'));
});

test('what is not claimed cannot be released, and ids have 32 bytes', () => {
  const table = createBlobTable();
  const slot = table.claim('data', randomBytes(32));
  table.store(slot, { pack: 0, offset: 0, length: 0, uncompressedLength: 0 });
  assert.throws(() => table.release(slot), /not claimed/);
  assert.throws(() => table.find('data', randomBytes(31)), /fewer than 32 bytes/);
});
