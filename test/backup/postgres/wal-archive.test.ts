/** Archives of WAL: in a directory, in a repository on a disk, in a repository on a cluster of storage nodes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { check } from '../../../activities/backup/engine/check.ts';
import { DirectoryWalArchive } from '../../../activities/backup/postgres/directory-wal-archive.ts';
import { expireWal } from '../../../activities/backup/postgres/expire-wal.ts';
import { mirrorWal } from '../../../activities/backup/postgres/mirror-wal.ts';
import { openRepositoryWalArchive } from '../../../activities/backup/postgres/repository-wal-archive.ts';
import { archiveWal } from '../../../activities/backup/postgres/wal-archive.ts';
import { bytesContent } from '../../../activities/backup/postgres/wal-content.ts';
import { formatLsn } from '../../../activities/drivers/postgres/lsn.ts';
import { initRepository } from '../../../activities/backup/repository/repository.ts';
import { attachRepository, type Repository } from '../../../activities/backup/repository/attach.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { startMoverCluster, type MoverCluster } from '../../mover/support/cluster.ts';
import { cheap, directoryAddress, initCheaply, password, reopen } from '../repository/support/repositories.ts';
import { skipWithoutRestic } from '../repository/support/restic.ts';
import { nameOf, segmentBytesOf, smallSegment, systemId } from './support/segments.ts';
import { bytesIn, describeWalArchive, namesIn, type TriedArchive } from './support/wal-archive-conformance.ts';

const root = mkdtempSync(path.join(tmpdir(), 'muster-wal-archive-'));
let cluster: MoverCluster;
before(async () => {
  cluster = await startMoverCluster();
  await cluster.bucket('vault');
});
after(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

let made = 0;
const owner = { service: 'shop', resource: 'orders', systemId };
const newPath = (): string => path.join(root, String(made++));
const initOnObjects = (): Promise<Repository> => {
  const place = { ...cluster.place('vault'), prefix: `${made++}/` };
  return initRepository({ address: { kind: 'objects', place }, password, scrypt: cheap });
};

async function inRepository(init: () => Promise<Repository>): Promise<TriedArchive> {
  const open = [await init()];
  return {
    archive: openRepositoryWalArchive(open[0] as Repository, owner),
    again: async () => {
      const again = await reopen(open[0] as Repository);
      open.push(again);
      return openRepositoryWalArchive(again, owner);
    },
    [Symbol.asyncDispose]: async () => void (await Promise.all(open.map((one) => one.close()))),
  };
}

describeWalArchive('a directory', async () => {
  const dir = newPath();
  const open = (): DirectoryWalArchive => new DirectoryWalArchive(dir);
  return { archive: open(), again: async () => open(), [Symbol.asyncDispose]: async () => {} };
});
describeWalArchive('a repository in a directory', () => inRepository(() => initCheaply(newPath())));
describeWalArchive('a repository in a bucket', () => inRepository(initOnObjects));

async function store(repository: Repository, segments: readonly number[], whose = owner): Promise<void> {
  const archive = openRepositoryWalArchive(repository, whose);
  for (const segment of segments) {
    await archiveWal(archive, nameOf(segment), bytesContent(segmentBytesOf(segment, { systemId: whose.systemId })));
  }
}

const at = (segment: number, offset = 40n): string => formatLsn(BigInt(segment) * BigInt(smallSegment) + offset);

test('WAL in a repository is unreadable without its key, and a damaged or exchanged object is named', async () => {
  const dir = newPath();
  const repository = await initCheaply(dir);
  await store(repository, [1, 2]);
  const archive = openRepositoryWalArchive(repository, owner);
  const file = (segment: number): string =>
    path.join(dir, 'muster', 'wal', 'shop', 'orders', systemId, nameOf(segment));
  const stored = readFileSync(file(1));
  assert.equal(stored.includes(Buffer.from(nameOf(1))), false);
  const damages: [what: string, bytes: Buffer, says: RegExp][] = [
    ['a flipped bit', Buffer.from(stored).fill(stored[300]! ^ 1, 300, 301), /has a wrong MAC/],
    ['one cut short', stored.subarray(0, -1), /has a wrong MAC/],
    ['the object of another segment', readFileSync(file(2)), new RegExp(`holds ${nameOf(2)}`)],
    ['nothing', Buffer.alloc(0), /has a wrong MAC/],
  ];
  for (const [what, bytes, says] of damages) {
    writeFileSync(file(1), bytes);
    await assert.rejects(bytesIn(archive, nameOf(1)), (err) => {
      assert.ok(err instanceof MusterError && err.code === 'REPOSITORY_DAMAGED', what);
      assert.match(err.message, says, what);
      return err.message.includes(nameOf(1));
    });
  }
  await repository.close();
});

test('WAL of two systems of one database lies apart, and neither a check nor a segment of the other disturbs it', async () => {
  const repository = await initCheaply(newPath());
  await store(repository, [1, 2]);
  const newer = { ...owner, systemId: '7499999999999999999' };
  await store(repository, [1], newer);
  assert.deepEqual(await namesIn(openRepositoryWalArchive(repository, owner)), [nameOf(1), nameOf(2)]);
  assert.deepEqual(await namesIn(openRepositoryWalArchive(repository, newer)), [nameOf(1)]);
  assert.equal((await check({ repository, read: { kind: 'all' }, threads: 1 })).kind, 'intact');
  await repository.close();
});

test('WAL before the oldest kept base backup is removed, of that system and database only', async () => {
  const repository = await initCheaply(newPath());
  const [newer, stranger] = [
    { ...owner, systemId: '7499999999999999999' },
    { ...owner, resource: 'stock' },
  ];
  for (const whose of [owner, newer, stranger]) await store(repository, [1, 2, 3, 4], whose);
  const kept = [
    { systemId, startLsn: at(4) },
    { systemId, startLsn: at(3) },
  ];
  assert.deepEqual(await expireWal(repository, owner, kept, { dryRun: true }), {
    ...{ removed: 2, kept: 6, withoutBackup: [newer.systemId] },
  });
  assert.equal((await namesIn(openRepositoryWalArchive(repository, owner))).length, 4);
  await expireWal(repository, owner, kept);
  assert.deepEqual(await namesIn(openRepositoryWalArchive(repository, owner)), [nameOf(3), nameOf(4)]);
  for (const whose of [newer, stranger]) {
    assert.equal((await namesIn(openRepositoryWalArchive(repository, whose))).length, 4);
  }
  // An archive that goes on where its beginning was removed is still that system's.
  await store(repository, [5]);
  await repository.close();
});

test('the mirror of a vault gets the WAL as well: what is new, the partial segment anew, and it opens with the same key', async () => {
  const [from, to] = [await initCheaply(newPath()), newPath()];
  const archive = openRepositoryWalArchive(from, owner);
  await store(from, [1, 2]);
  const partial = (usedBytes: number) => bytesContent(segmentBytesOf(3, { usedBytes }));
  await archiveWal(archive, `${nameOf(3)}.partial`, partial(10_000));
  // As a mirror of the repository has it: keys and config are copied, and so the master key is the same.
  const mirrored = (await reopen(from)).describe();
  const target = await attachRepository({ ...mirrored, address: directoryAddress(to) });
  assert.deepEqual(await mirrorWal(from.store.side, target.store.side), { copied: 4, removed: 0 });
  const there = openRepositoryWalArchive(target, owner);
  assert.ok(segmentBytesOf(2).equals((await bytesIn(there, nameOf(2))) as Buffer));

  await archiveWal(archive, `${nameOf(3)}.partial`, partial(70_000));
  assert.deepEqual(await mirrorWal(from.store.side, target.store.side), { copied: 1, removed: 0 });
  assert.ok(segmentBytesOf(3, { usedBytes: 70_000 }).equals((await bytesIn(there, `${nameOf(3)}.partial`)) as Buffer));

  await store(from, [3]);
  await archive.remove(`${nameOf(3)}.partial`);
  await expireWal(from, owner, [{ systemId, startLsn: at(2) }]);
  assert.deepEqual(await mirrorWal(from.store.side, target.store.side, { remove: true }), { copied: 1, removed: 2 });
  assert.deepEqual(await namesIn(there), [nameOf(2), nameOf(3)]);
  await from.close();
  await target.close();
});

const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const missing = ['restic', 'openssl', 'zstd', 'xxd', 'jq'].filter((program) => !has(program));

test(
  'without Muster: the way that the documentation gives turns sealed WAL into plain files, with stock programs',
  { skip: skipWithoutRestic || (missing.length > 0 && `${missing.join(', ')} is not installed`) },
  async () => {
    const dir = newPath();
    const repository = await initCheaply(dir);
    await store(repository, [1, 2, 3]);
    const archive = openRepositoryWalArchive(repository, owner);
    await archiveWal(archive, `${nameOf(4)}.partial`, bytesContent(segmentBytesOf(4, { usedBytes: 40_000 })));
    await repository.close();

    const page = readFileSync(path.join(import.meta.dirname, '../../../docs/protection-postgresql.md'), 'utf8');
    const script = /<!-- unpack-wal -->\s*```sh\n(?<script>.*?)```/s.exec(page)?.groups?.['script'] ?? '';
    assert.ok(script.includes('masterkey'), 'the page has the script');
    const work = newPath();
    mkdirSync(work);
    execFileSync('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: work,
      env: {
        ...process.env,
        ...{ RESTIC_REPOSITORY: dir, RESTIC_PASSWORD: password, RESTIC_CACHE_DIR: path.join(work, 'cache') },
        ...{ SEALED: path.join(dir, 'muster', 'wal', 'shop', 'orders', systemId), WAL: path.join(work, 'wal') },
      },
    });
    const names = [...[1, 2, 3].map((segment) => nameOf(segment)), `${nameOf(4)}.partial`, 'archive.json'];
    assert.deepEqual(readdirSync(path.join(work, 'wal')).toSorted(), names.toSorted());
    for (const segment of [1, 2, 3]) {
      assert.ok(segmentBytesOf(segment).equals(readFileSync(path.join(work, 'wal', nameOf(segment)))));
    }
  },
);
