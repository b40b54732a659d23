import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  archiveWal,
  identityName,
  readIdentity,
  type WalArchive,
} from '../../../../activities/backup/postgres/wal-archive.ts';
import { bytesContent, readAll } from '../../../../activities/backup/postgres/wal-content.ts';
import { MusterError, type ErrorCode } from '../../../../workflows/engine/errors.ts';
import { nameOf, segmentBytesOf, smallSegment, systemId } from './segments.ts';

/** An archive to try, and how another process would open it. */
export interface TriedArchive extends AsyncDisposable {
  archive: WalArchive;
  again(): Promise<WalArchive>;
}

export async function namesIn(archive: WalArchive): Promise<string[]> {
  const names: string[] = [];
  for await (const name of archive.list()) names.push(name);
  return names.toSorted();
}

export async function bytesIn(archive: WalArchive, name: string): Promise<Buffer | null> {
  const pieces = await archive.get(name);
  return pieces === null ? null : readAll(pieces);
}

const fails =
  (code: ErrorCode, says: string) =>
  (err: unknown): boolean =>
    err instanceof MusterError && err.code === code && err.message.includes(says);

/** What every archive of WAL does, whatever lies below. */
export function describeWalArchive(what: string, make: () => Promise<TriedArchive>): void {
  test(`${what}: files are stored, listed, read and removed, and are there for whoever opens it again`, async () => {
    await using tried = await make();
    const { archive } = tried;
    assert.deepEqual(await namesIn(archive), []);
    assert.equal(await archive.get(nameOf(1)), null);
    const files = new Map([1, 2, 3].map((segment) => [nameOf(segment), segmentBytesOf(segment)]));
    files.set('00000002.history', Buffer.from('1\t0/300000\tno recovery target specified\n'));
    for (const [name, bytes] of files) assert.equal(await archiveWal(archive, name, bytesContent(bytes)), 'stored');
    const again = await tried.again();
    assert.deepEqual(await namesIn(again), [...files.keys()].toSorted());
    for (const [name, bytes] of files) assert.ok(bytes.equals((await bytesIn(again, name)) as Buffer), name);
    assert.deepEqual(await readIdentity(again), { systemId, segmentBytes: smallSegment });
    assert.ok((await again.get(identityName)) !== null);
    await archive.remove(nameOf(1));
    await archive.remove(nameOf(1));
    assert.equal(await bytesIn(again, nameOf(1)), null);
    assert.equal((await namesIn(archive)).length, 3);
  });

  test(`${what}: the same bytes may come again, others under the name are an alarm, and the first ones stay`, async () => {
    await using tried = await make();
    const { archive } = tried;
    const [name, first, other] = [nameOf(7), segmentBytesOf(7), segmentBytesOf(7, { seed: 'other' })];
    assert.equal(await archiveWal(archive, name, bytesContent(first)), 'stored');
    assert.equal(await archiveWal(archive, name, bytesContent(first)), 'same');
    await assert.rejects(archiveWal(archive, name, bytesContent(other)), fails('WAL_CONFLICT', name));
    assert.equal(await archive.create(name, bytesContent(other)), 'exists');
    assert.ok(first.equals((await bytesIn(await tried.again(), name)) as Buffer));
  });

  test(`${what}: of a partial segment the longer copy is kept, and one that says something else is refused`, async () => {
    await using tried = await make();
    const { archive } = tried;
    const name = `${nameOf(9)}.partial`;
    const used = (usedBytes: number, seed = ''): Buffer => segmentBytesOf(9, { usedBytes, seed });
    assert.equal(await archiveWal(archive, name, bytesContent(used(20_000))), 'stored');
    // With the zeros behind it or without.
    assert.equal(await archiveWal(archive, name, bytesContent(used(50_000).subarray(0, 50_000))), 'stored');
    assert.equal(await archiveWal(archive, name, bytesContent(used(30_000))), 'same');
    await assert.rejects(archiveWal(archive, name, bytesContent(used(60_000, 'other'))), fails('WAL_CONFLICT', name));
    const kept = await bytesIn(await tried.again(), name);
    assert.ok(
      used(50_000)
        .subarray(0, 50_000)
        .equals(kept as Buffer),
    );
    await archive.replace(name, bytesContent(used(90_000)));
    assert.ok(used(90_000).equals((await bytesIn(archive, name)) as Buffer));
  });

  const strangers: [what: string, name: string, bytes: Buffer, code: ErrorCode][] = [
    ['a segment of another system', nameOf(2), segmentBytesOf(2, { systemId: '42' }), 'WAL_CONFLICT'],
    ['a segment under the name of another', nameOf(2), segmentBytesOf(3), 'CHECKSUM_MISMATCH'],
    ['a segment of a later timeline', nameOf(2), segmentBytesOf(2, { timeline: 2 }), 'CHECKSUM_MISMATCH'],
    ['half a segment', nameOf(2), segmentBytesOf(2).subarray(0, smallSegment / 2), 'CHECKSUM_MISMATCH'],
    ['zeros', nameOf(2), Buffer.alloc(smallSegment), 'CHECKSUM_MISMATCH'],
    ['nothing', nameOf(2), Buffer.alloc(0), 'CHECKSUM_MISMATCH'],
    ['a history of another timeline', '00000002.history', Buffer.from('3\t0/300000\tx\n'), 'CHECKSUM_MISMATCH'],
    ['a file that is none of PostgreSQL', 'notes.txt', Buffer.from('x'), 'CONFIG_INVALID'],
  ];
  test(`${what}: what is not what its name says is not stored`, async () => {
    await using tried = await make();
    const { archive } = tried;
    await archiveWal(archive, nameOf(1), bytesContent(segmentBytesOf(1)));
    for (const [which, name, bytes, code] of strangers) {
      await assert.rejects(archiveWal(archive, name, bytesContent(bytes)), fails(code, ''), which);
      assert.deepEqual(await namesIn(archive), [nameOf(1)], which);
    }
  });

  test(`${what}: of eight that store different bytes under one name at once, one does`, async () => {
    await using tried = await make();
    const archives = await Promise.all(Array.from({ length: 8 }, () => tried.again()));
    const contents = archives.map((_, index) => segmentBytesOf(5, { seed: String(index) }));
    const outcomes = await Promise.allSettled(
      archives.map((archive, index) => archiveWal(archive, nameOf(5), bytesContent(contents[index] as Buffer))),
    );
    const winners = outcomes.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
    assert.equal(winners.length, 1);
    assert.ok(contents[winners[0] ?? 0]?.equals((await bytesIn(tried.archive, nameOf(5))) as Buffer));
    for (const one of outcomes) if (one.status === 'rejected') assert.ok(fails('WAL_CONFLICT', nameOf(5))(one.reason));
  });
}
