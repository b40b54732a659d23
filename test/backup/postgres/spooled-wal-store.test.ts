/** A disk before an archive that is slow, away or full: the receiver never waits, and nothing is lost or doubled. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { DirectoryWalArchive } from '../../../activities/backup/postgres/directory-wal-archive.ts';
import { SpooledWalStore } from '../../../activities/backup/postgres/spooled-wal-store.ts';
import { archiveWal, type WalArchive } from '../../../activities/backup/postgres/wal-archive.ts';
import { bytesContent } from '../../../activities/backup/postgres/wal-content.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { createSmallDisk, whyNoSmallDisk } from '../../storage/chaos/support/small-disk.ts';
import { eventually } from '../../support/eventually.ts';
import { nameOf, segmentBytesOf, smallSegment } from './support/segments.ts';
import { bytesIn, namesIn } from './support/wal-archive-conformance.ts';

const root = mkdtempSync(path.join(tmpdir(), 'muster-spool-'));
after(() => rmSync(root, { recursive: true, force: true }));
let made = 0;
const newDir = (): string => path.join(root, String(made++));

/** Writes a segment as a receiver does: a piece, a sync, the next piece. */
async function receive(store: SpooledWalStore, segment: number, bytes = smallSegment): Promise<void> {
  const open = await store.openSegment(nameOf(segment), smallSegment);
  const content = segmentBytesOf(segment);
  try {
    for (let at = 0; at < bytes; at += 100_000) {
      await open.write(at, [content.subarray(at, Math.min(at + 100_000, bytes))]);
      await open.sync();
    }
  } catch (err) {
    await open.close();
    throw err;
  }
  if (bytes === smallSegment) await open.finish();
  else await open.close();
}

/** A real archive with a door: while it is closed, nothing can be stored. */
function gated(archive: WalArchive): WalArchive & { isOpen: boolean } {
  const door = (): void => {
    if (!gate.isOpen) throw new MusterError('OBJECT_STORE_UNREACHABLE', `${archive.place} does not answer`);
  };
  const gate = {
    isOpen: true,
    place: archive.place,
    list: () => archive.list(),
    get: (name: string) => archive.get(name),
    create: async (name: string, content: Parameters<WalArchive['create']>[1]) => {
      door();
      return archive.create(name, content);
    },
    replace: async (name: string, content: Parameters<WalArchive['replace']>[1]) => {
      door();
      return archive.replace(name, content);
    },
    remove: (name: string) => archive.remove(name),
  };
  return gate;
}

const holds = async (archive: WalArchive, segment: number): Promise<boolean> =>
  segmentBytesOf(segment).equals((await bytesIn(archive, nameOf(segment))) ?? Buffer.alloc(0));
const segmentsIn = (dir: string): string[] => readdirSync(dir).filter((name) => name !== 'archive.json');
const end = (segment: number, bytes = 0): bigint => BigInt(segment) * BigInt(smallSegment) + BigInt(bytes);

test('full segments go on to the archive in their order, what there is of the last one too, and the spool is empty', async () => {
  const [archive, dir, archived] = [new DirectoryWalArchive(newDir()), newDir(), [] as string[]];
  const onArchived = (name: string): void => void archived.push(name);
  await using store = await SpooledWalStore.open({ archive, dir, onArchived });
  for (const segment of [1, 2, 3]) await receive(store, segment);
  await receive(store, 4, 300_000);
  await store.flush();
  assert.deepEqual(
    archived,
    [1, 2, 3].map((segment) => nameOf(segment)),
  );
  assert.deepEqual(store.status(), {
    archivedSegments: 3,
    waitingSegments: 0,
    safeLsn: end(4, 300_000),
    failure: null,
  });
  for (const segment of [1, 2, 3]) assert.ok(await holds(archive, segment));
  const partial = await bytesIn(archive, `${nameOf(4)}.partial`);
  assert.ok(
    segmentBytesOf(4)
      .subarray(0, 300_000)
      .equals(partial as Buffer),
  );
  assert.deepEqual(segmentsIn(dir), [`${nameOf(4)}.partial`]);
  // It is filled up: its part goes.
  await receive(store, 4);
  await store.flush();
  assert.deepEqual(
    await namesIn(archive),
    [1, 2, 3, 4].map((segment) => nameOf(segment)),
  );
});

test('while the archive is away segments are received all the same, and follow when it is back', async () => {
  const [archive, dir] = [gated(new DirectoryWalArchive(newDir())), newDir()];
  await using store = await SpooledWalStore.open({ archive, dir, retryMs: 100 });
  await receive(store, 1);
  await eventually('the first is archived', () => holds(archive, 1));
  archive.isOpen = false;
  for (const segment of [2, 3, 4]) await receive(store, segment);
  // What came in the middle of an attempt is counted right from the next one on.
  await eventually('it says so, and all that came is counted', () => {
    const { failure, waitingSegments } = store.status();
    return failure?.code === 'OBJECT_STORE_UNREACHABLE' && waitingSegments === 3;
  });
  assert.deepEqual(
    { ...store.status(), failure: null },
    { archivedSegments: 1, waitingSegments: 3, safeLsn: end(2), failure: null },
  );
  assert.equal(store.isStuck, false);
  archive.isOpen = true;
  await eventually('all are archived', () => store.status().safeLsn === end(5));
  for (const segment of [2, 3, 4]) assert.ok(await holds(archive, segment));
  assert.equal(store.status().failure, null);
});

test('a stream that breaks sends what there is at once, and one that is taken up again sends no less', async () => {
  const [archive, dir] = [new DirectoryWalArchive(newDir()), newDir()];
  await using store = await SpooledWalStore.open({ archive, dir, partialMs: 3_600_000 });
  await receive(store, 1, 200_000);
  const name = `${nameOf(1)}.partial`;
  const sent = async (): Promise<number> => (await bytesIn(archive, name))?.length ?? 0;
  await eventually('it is there', async () => (await sent()) === 200_000);
  await receive(store, 1, 100_000);
  await store.flush();
  assert.equal(await sent(), 200_000);
  await receive(store, 1, 400_000);
  await eventually('more of it is there', async () => (await sent()) === 400_000);
});

test('what a killed process left goes to the archive first, without any server', async () => {
  const [archive, dir] = [gated(new DirectoryWalArchive(newDir())), newDir()];
  archive.isOpen = false;
  const killed = new DirectoryWalArchive(dir);
  for (const segment of [1, 2]) await archiveWal(killed, nameOf(segment), bytesContent(segmentBytesOf(segment)));
  const open = await killed.openSegment(nameOf(3), smallSegment);
  await open.write(0, [segmentBytesOf(3).subarray(0, 150_000)]);
  await open.close();
  await assert.rejects(SpooledWalStore.open({ archive, dir }), /does not answer/);
  archive.isOpen = true;
  await using store = await SpooledWalStore.open({ archive, dir });
  assert.deepEqual(await namesIn(archive), [nameOf(1), nameOf(2), `${nameOf(3)}.partial`]);
  const partial = (await bytesIn(archive, `${nameOf(3)}.partial`)) as Buffer;
  assert.ok(segmentBytesOf(3).subarray(0, 150_000).equals(partial));
  assert.deepEqual(segmentsIn(dir), []);
  assert.equal(store.status().safeLsn, end(3));
});

test('what was begun on a timeline that was left is kept, and the next one begins', async () => {
  const [archive, dir] = [new DirectoryWalArchive(newDir()), newDir()];
  await using store = await SpooledWalStore.open({ archive, dir });
  await receive(store, 7, 100_000);
  const next = await store.openSegment(nameOf(7, 2), smallSegment);
  await next.write(0, [segmentBytesOf(7, { timeline: 2 }).subarray(0, 200_000)]);
  await next.close();
  await store.flush();
  assert.deepEqual(await namesIn(archive), [`${nameOf(7)}.partial`, `${nameOf(7, 2)}.partial`]);
  assert.deepEqual(segmentsIn(dir), [`${nameOf(7, 2)}.partial`]);
});

test('other bytes in the archive stop it, and the segment stays in the spool', async () => {
  const [archive, dir] = [new DirectoryWalArchive(newDir()), newDir()];
  await using store = await SpooledWalStore.open({ archive, dir, retryMs: 50 });
  await archiveWal(archive, nameOf(1), bytesContent(segmentBytesOf(1, { seed: 'other' })));
  await receive(store, 1);
  await eventually('it is stuck', () => store.isStuck);
  assert.equal(store.status().failure?.code, 'WAL_CONFLICT');
  assert.deepEqual(segmentsIn(dir), [nameOf(1)]);
  assert.equal(await holds(archive, 1), false);
});

const noDisk = whyNoSmallDisk();
test(
  'an archive whose disk is full says so, loses nothing, and goes on when there is room',
  { skip: noDisk },
  async () => {
    using disk = createSmallDisk(3);
    const archive = new DirectoryWalArchive(path.join(disk.dir, 'archive'));
    const dir = newDir();
    await using store = await SpooledWalStore.open({ archive, dir, retryMs: 100 });
    for (const segment of [1, 2, 3, 4, 5]) await receive(store, segment);
    await eventually('it is full', () => store.status().failure?.code === 'TARGET_FULL');
    assert.equal(store.isStuck, false);
    // How much fits depends on whether one came in part first. What did not come lies here, and what came is whole.
    const here = segmentsIn(dir);
    const come = await namesIn(archive);
    for (const segment of [1, 2, 3, 4, 5]) {
      const name = nameOf(segment);
      assert.ok(here.includes(name) || come.includes(name), `${name} is lost`);
      if (come.includes(name)) assert.ok(await holds(archive, segment), `${name} is not whole`);
    }
    disk.resize(8);
    await eventually('all are archived', () => store.status().safeLsn === end(6));
    for (const segment of [1, 2, 3, 4, 5]) assert.ok(await holds(archive, segment));
  },
);

test(
  'a spool whose disk is full is TARGET_FULL, and what was written goes on from there',
  { skip: noDisk },
  async () => {
    using disk = createSmallDisk(2);
    const archive = gated(new DirectoryWalArchive(newDir()));
    const dir = path.join(disk.dir, 'spool');
    await using store = await SpooledWalStore.open({ archive, dir, retryMs: 100 });
    archive.isOpen = false;
    const isFull = (err: unknown): boolean => err instanceof MusterError && err.code === 'TARGET_FULL';
    await receive(store, 1);
    await assert.rejects(receive(store, 2), isFull);
    archive.isOpen = true;
    await eventually('the first has gone', () => !segmentsIn(dir).includes(nameOf(1)));
    await receive(store, 2);
    await eventually('the second as well', () => store.status().safeLsn === end(3));
    for (const segment of [1, 2]) assert.ok(await holds(archive, segment));
  },
);
