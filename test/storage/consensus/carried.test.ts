import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DriveApi, DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { type MemoryDrive } from '../support/memory-drive.ts';
import { memoryDrives, setOf } from '../support/memory-set.ts';
import { getObject, objectNode, putObject } from '../support/object-node.ts';

const cutOff = (): Promise<never> => Promise.reject(new DriveUnavailable('cut off'));

function changed(drive: DriveApi, by: Partial<DriveApi>): DriveApi {
  return Object.assign(Object.create(drive) as DriveApi, by);
}

/** As a drive that no shard reaches. */
function takesNothing(drive: DriveApi): DriveApi {
  const stage: DriveApi['stage'] = () => ({
    ...{ queuedBytes: 0, onProgress: undefined, finish: cutOff, abort() {} },
    write: (_, release) => release(),
  });
  return changed(drive, { stage, accept: cutOff });
}

const before = Buffer.from('before');
const bodies = { staged: Buffer.alloc(1_200_000, 'staged '), small: Buffer.alloc(3_000, 'small ') };

/**
 * What a write that broke off has left on each drive of a set, as a letter: the value and its shard `n`amed by it; its
 * shard `s`taged only; nothing, `l`; the value with its shard `r`estored, but only staged again.
 */
async function leaveHalfWritten(left: string, body: Buffer): Promise<MemoryDrive[]> {
  const drives = memoryDrives(left.length);
  await putObject(objectNode(setOf(drives, 0), 0), 'key', before);
  const wrap = (drive: DriveApi, position: number): DriveApi => {
    if (left[position] === 'l') return takesNothing(drive);
    // No drive is told how it ended, even if it was chosen.
    return changed(drive, left[position] === 's' ? { accept: cutOff } : { decide: () => {} });
  };
  await putObject(objectNode(setOf(drives, 1, wrap), 1), 'key', body).catch(() => {});
  for (const [position, { data, staged }] of drives.entries()) {
    if (left[position] !== 'r') continue;
    for (const [id, stored] of data) {
      if (stored.small) continue;
      data.delete(id);
      staged.set(id, stored);
    }
  }
  return drives;
}

interface Row {
  left: string;
  /** How many of the last drives are cut off now. */
  cut: number;
  small?: true;
  /** What the key holds. `refused`: what was written may have been acknowledged, and its data cannot be had. */
  holds: 'before' | 'written' | 'refused';
}

const rows: Row[] = [
  { left: 'nsln', cut: 1, holds: 'before' },
  { left: 'nssn', cut: 1, holds: 'before' },
  { left: 'nnln', cut: 1, holds: 'written' },
  { left: 'nnsn', cut: 1, holds: 'written' },
  { left: 'nnls', cut: 1, holds: 'written' },
  { left: 'nlns', cut: 1, holds: 'written' },
  { left: 'lnns', cut: 1, holds: 'written' },
  { left: 'nnls', cut: 0, holds: 'before' },
  { left: 'nrln', cut: 1, holds: 'written' },
  { left: 'rnln', cut: 1, holds: 'written' },
  { left: 'nrls', cut: 1, holds: 'written' },
  { left: 'lrrn', cut: 1, holds: 'written' },
  { left: 'nnll', cut: 1, small: true, holds: 'written' },
  { left: 'nlln', cut: 1, small: true, holds: 'before' },
  { left: 'nnsslnns', cut: 3, holds: 'written' },
  { left: 'nnsslsss', cut: 3, holds: 'written' },
  { left: 'nnslsnns', cut: 3, holds: 'written' },
  { left: 'nlssnnns', cut: 3, holds: 'written' },
  { left: 'nnnslnss', cut: 3, holds: 'written' },
  { left: 'nnnslnsl', cut: 2, holds: 'written' },
  { left: 'nnsllnnl', cut: 1, holds: 'written' },
  { left: 'nnsllnsl', cut: 1, holds: 'before' },
  { left: 'nssssnns', cut: 3, holds: 'before' },
  { left: 'nnnlslll', cut: 3, small: true, holds: 'refused' },
  { left: 'nnlllnnn', cut: 3, small: true, holds: 'refused' },
];

for (const { left, cut, small, holds } of rows) {
  const body = small === true ? bodies.small : bodies.staged;
  test(`of a ${small === true ? 'small ' : ''}write that left ${left} the others tell without the last ${cut}: ${holds}`, async () => {
    const drives = await leaveHalfWritten(left, body);
    for (const drive of drives.slice(left.length - cut)) drive.down = true;
    const next = objectNode(setOf(drives, 0), 0);
    if (holds === 'refused') {
      await assert.rejects(putObject(next, 'key', Buffer.from('next')), { code: 'WriteQuorumLost' });
      for (const drive of drives) drive.down = false;
      assert.ok((await getObject(next, 'key')).equals(left === 'nnlllnnn' ? body : before));
      return;
    }
    assert.ok((await getObject(next, 'key')).equals(holds === 'before' ? before : body));
    await putObject(next, 'key', Buffer.from('next'));
    for (const drive of drives) drive.down = false;
    assert.equal((await getObject(objectNode(setOf(drives, 3), 3), 'key')).toString(), 'next');
  });
}

test('a value that a quicker writer replaced, while its shards were computed, leads to another round', async () => {
  const drives = await leaveHalfWritten('nnll', bodies.small);
  drives[3]!.down = true;
  const quicker = objectNode(
    // One drive is not told that it may let go of what is replaced.
    setOf(drives, 1, (drive, position) => (position === 0 ? changed(drive, { decide: () => {} }) : drive)),
    1,
  );
  let replaced = false;
  const slow = objectNode(setOf(drives, 0), 0, {
    async beforeRebuild() {
      if (replaced) return;
      replaced = true;
      await putObject(quicker, 'key', Buffer.from('quicker'));
      await putObject(quicker, 'key', Buffer.from('quicker still'));
    },
  });
  await putObject(slow, 'key', Buffer.from('slow'));
  assert.ok(replaced);
  assert.equal((await getObject(quicker, 'key')).toString(), 'slow');
});

for (const { cut, lost } of [
  { cut: [3], lost: [2] },
  { cut: [], lost: [2] },
  { cut: [], lost: [1, 2] },
]) {
  test(`with ${cut.length} of 4 cut off, ${lost.length} that lost what was sent to them are given it again`, async () => {
    const drives = memoryDrives(4);
    for (const position of cut) drives[position]!.down = true;
    const left = new Set(lost);
    const forgetful = (drive: DriveApi, position: number): DriveApi => {
      const accept: DriveApi['accept'] = (request, options) => {
        if (left.delete(position)) drives[position]!.staged.clear();
        return drive.accept(request, options);
      };
      return changed(drive, { accept });
    };
    await putObject(objectNode(setOf(drives, 0, forgetful), 0), 'key', bodies.staged);
    drives[0]!.down = true;
    assert.ok((await getObject(objectNode(setOf(drives, 1), 1), 'key')).equals(bodies.staged));
  });
}
