import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { MusterError } from '../../../../workflows/engine/errors.ts';
import {
  readStored,
  type FileKind,
  type RepositoryStore,
  type StoredFile,
} from '../../../../activities/backup/repository/store.ts';

/** A store to try, and how to be rid of it. */
export interface TriedStore extends AsyncDisposable {
  readonly store: RepositoryStore;
  /** The same place once more, as another process would open it. */
  again(): Promise<RepositoryStore>;
}

const kinds: readonly FileKind[] = ['data', 'index', 'key', 'lock', 'snapshot'];
const nameOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

type Named = Pick<StoredFile, 'name' | 'sizeBytes'>;
const byName = (files: readonly Named[]): Named[] => files.toSorted((a, b) => (a.name < b.name ? -1 : 1));

/** Name and size of files that were written just now, by the clock of a store that may keep no more than seconds. */
async function justWritten(files: AsyncIterable<StoredFile>): Promise<Named[]> {
  return (await all(files)).map(({ writtenMs, ...named }) => {
    assert.ok(Math.abs(Date.now() - writtenMs) < 60_000, `written at ${writtenMs}`);
    return named;
  });
}

/** What every store does, whatever lies below. */
export function describeRepositoryStore(what: string, make: () => Promise<TriedStore>): void {
  for (const kind of kinds) {
    test(`${what}: files of kind ${kind} are written, listed, read and removed`, async () => {
      await using tried = await make();
      const { store } = tried;
      assert.deepEqual(await all(store.list(kind)), []);
      const contents = [randomBytes(10), randomBytes(70_000), new Uint8Array(), randomBytes(1)];
      for (const bytes of contents) await store.write(kind, nameOf(bytes), [bytes]);
      const listed = byName(await justWritten((await tried.again()).list(kind)));
      assert.deepEqual(listed, byName(contents.map((bytes) => ({ name: nameOf(bytes), sizeBytes: bytes.length }))));
      for (const bytes of contents) {
        assert.ok(Buffer.from(bytes).equals((await store.read(kind, nameOf(bytes))) as Uint8Array));
        assert.equal(await store.sizeOf(kind, nameOf(bytes)), bytes.length);
      }
      for (const other of kinds) if (other !== kind) assert.deepEqual(await all(store.list(other)), []);
      const [first, ...rest] = contents as [Uint8Array, ...Uint8Array[]];
      await store.remove(kind, nameOf(first));
      await store.remove(kind, nameOf(first));
      assert.equal(await store.read(kind, nameOf(first)), null);
      assert.equal(await store.sizeOf(kind, nameOf(first)), null);
      assert.equal((await all(store.list(kind))).length, rest.length);
    });
  }

  test(`${what}: the config is one file without a hash for a name`, async () => {
    await using tried = await make();
    const { store } = tried;
    assert.deepEqual(await all(store.list('config')), []);
    assert.equal(await store.read('config', 'config'), null);
    await store.write('config', 'config', [Buffer.from('sealed')]);
    assert.deepEqual(await justWritten(store.list('config')), [{ name: 'config', sizeBytes: 6 }]);
    assert.equal(Buffer.from((await store.read('config', 'config')) as Uint8Array).toString(), 'sealed');
  });

  test(`${what}: a file is its pieces in order, and may be written again`, async () => {
    await using tried = await make();
    const pieces = [randomBytes(3), new Uint8Array(), randomBytes(200_000), randomBytes(1)];
    const whole = Buffer.concat(pieces);
    for (let run = 0; run < 2; run += 1) {
      await tried.store.write('data', nameOf(whole), pieces);
      assert.ok(whole.equals((await tried.store.read('data', nameOf(whole))) as Uint8Array));
    }
  });

  const ranges = [
    { offset: 0, length: 1 },
    { offset: 99, length: 1 },
    { offset: 17, length: 50 },
    { offset: 0, length: 100 },
    { offset: 90, length: 20 },
    { offset: 100, length: 5 },
    { offset: 300, length: 5 },
    { offset: 5, length: 0 },
  ];
  test(`${what}: ranges give what there is of them`, async () => {
    await using tried = await make();
    const bytes = randomBytes(100);
    await tried.store.write('data', nameOf(bytes), [bytes]);
    for (const range of ranges) {
      const read = await tried.store.read('data', nameOf(bytes), range);
      const want = bytes.subarray(range.offset, range.offset + range.length);
      assert.ok(read !== null && want.equals(read), JSON.stringify(range));
    }
    await assert.rejects(
      readStored(tried.store, 'data', nameOf(bytes), { offset: 90, length: 20 }),
      isDamaged(nameOf(bytes)),
    );
    await assert.rejects(readStored(tried.store, 'index', nameOf(bytes)), isDamaged(`index/${nameOf(bytes)}`));
  });

  test(`${what}: twenty files written at a time are twenty whole files`, async () => {
    await using tried = await make();
    const contents = Array.from({ length: 20 }, () => randomBytes(30_000));
    await Promise.all(contents.map((bytes) => tried.store.write('data', nameOf(bytes), [bytes])));
    const read = await Promise.all(contents.map((bytes) => tried.store.read('data', nameOf(bytes))));
    assert.deepEqual(
      read.map((bytes) => nameOf(bytes as Uint8Array)),
      contents.map(nameOf),
    );
  });

  test(`${what}: side objects are replaced, and created only once where that is asked`, async () => {
    await using tried = await make();
    const { side } = tried.store;
    assert.equal(await side.get('verify/ledger.json'), null);
    assert.equal(await side.put('verify/ledger.json', Buffer.from('1')), 'written');
    assert.equal(await side.put('verify/ledger.json', Buffer.from('2')), 'written');
    assert.equal(await side.put('verify/ledger.json', Buffer.from('3'), { onlyNew: true }), 'exists');
    assert.equal(Buffer.from((await side.get('verify/ledger.json')) as Uint8Array).toString(), '2');
    assert.equal(await side.put('verify/other', Buffer.from('x'), { onlyNew: true }), 'written');
    await side.put('turn', Buffer.from('x'));
    assert.deepEqual((await all(side.list(''))).toSorted(), ['turn', 'verify/ledger.json', 'verify/other']);
    assert.deepEqual((await all(side.list('verify/'))).toSorted(), ['verify/ledger.json', 'verify/other']);
    assert.deepEqual(await all(side.list('verify/le')), ['verify/ledger.json']);
    assert.deepEqual(await all(side.list('none/')), []);
    await side.remove('verify/ledger.json');
    await side.remove('verify/ledger.json');
    assert.equal(await side.get('verify/ledger.json'), null);
  });

  test(`${what}: of ten that create one side object, one does`, async () => {
    await using tried = await make();
    const stores = await Promise.all(Array.from({ length: 10 }, () => tried.again()));
    const outcomes = await Promise.all(
      stores.map(({ side }, i) => side.put('turn', Buffer.from(String(i)), { onlyNew: true })),
    );
    const winner = outcomes.indexOf('written');
    assert.equal(outcomes.filter((outcome) => outcome === 'written').length, 1);
    assert.equal(Buffer.from((await tried.store.side.get('turn')) as Uint8Array).toString(), String(winner));
  });

  test(`${what}: names of side objects do not lead out of their folder`, async () => {
    await using tried = await make();
    for (const name of ['', '../config', 'a/../../config', '/config', 'a//b', 'a/.', 'a b']) {
      await assert.rejects(async () => tried.store.side.get(name), MusterError, name);
    }
  });
}

function isDamaged(file: string): (err: unknown) => boolean {
  return (err) => err instanceof MusterError && err.code === 'REPOSITORY_DAMAGED' && err.message.includes(file);
}
