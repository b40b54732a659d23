import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../../../activities/backup/repository/attach.ts';
import { blobId, hexOf } from '../../../activities/backup/repository/blob.ts';
import type { BlobTable } from '../../../activities/backup/repository/blob-table.ts';
import { goModeOf, nodeTypeOf } from '../../../activities/backup/repository/file-mode.ts';
import { fileText, quoteGo, type FileText } from '../../../activities/backup/repository/go-text.ts';
import { formatTime } from '../../../activities/backup/repository/go-time.ts';
import { listKeys } from '../../../activities/backup/repository/keys.ts';
import { readPackHeader } from '../../../activities/backup/repository/pack-header.ts';
import { readBlob, readTree } from '../../../activities/backup/repository/read-blob.ts';
import { openRepository } from '../../../activities/backup/repository/repository.ts';
import { findSnapshot, listSnapshots } from '../../../activities/backup/repository/snapshot.ts';
import { encodeTree, type TreeNode } from '../../../activities/backup/repository/tree.ts';
import { directoryAddress, loadedTable, password } from './support/repositories.ts';
import { restic, scratch, skipWithoutRestic } from './support/restic.ts';

const options = { skip: skipWithoutRestic, timeout: 120_000 };

/** Names that test how names are written: bytes, since not all are text. */
const oddNames = [
  'plain name.txt',
  '"quoted" and back\\slash',
  '<html> & friends',
  'line\nfeed, tab\t, bell\u0007, escape\u001b, delete\u007f',
  'gr\u00fc\u00df \u{1f600} \uff5e \u2028 \u00ad \u200b \ufffd',
  Buffer.from([0x62, 0x61, 0x64, 0xff, 0xfe, 0x2e, 0xc3]),
  Buffer.from([0xed, 0xa0, 0x80, 0x78]),
].map((name) => Buffer.from(name as string));

function makeSource(root: string): void {
  const at = (name: Uint8Array | string): Buffer => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name)]);
  mkdirSync(root);
  for (const [i, name] of oddNames.entries()) writeFileSync(at(name), `file ${i}\n`);
  writeFileSync(at('empty'), '');
  writeFileSync(at('large'), randomBytes(9_000_000));
  writeFileSync(at('set-id'), 'x');
  chmodSync(at('set-id'), 0o6755);
  linkSync(at('set-id'), at('hard link'));
  symlinkSync('where <it> goes & "ends"', at('link'));
  mkdirSync(at('empty folder'));
  mkdirSync(at('sticky'));
  chmodSync(at('sticky'), 0o1777);
  execFileSync('mkfifo', [join(root, 'pipe')]);
  utimesSync(at('empty'), 981_173_106.25, 981_173_106.25);
}

/** Nodes as restic makes them of what is on disk; whatever cannot be seen there is taken from its own node. */
function nodesOnDisk(root: string, theirs: readonly TreeNode[]): TreeNode[] {
  const known = new Map(theirs.map((node) => [quoteGo(node.name), node]));
  return readdirSync(Buffer.from(root), { encoding: 'buffer' }).map((bytes) => {
    const name = fileText(bytes);
    const their = known.get(quoteGo(name));
    assert.ok(their !== undefined, `restic has no ${quoteGo(name)}`);
    return nodeOnDisk(Buffer.concat([Buffer.from(`${root}/`), bytes]), name, their);
  });
}

function nodeOnDisk(path: Buffer, name: FileText, their: TreeNode): TreeNode {
  const found = lstatSync(path, { bigint: true });
  const type = nodeTypeOf(Number(found.mode));
  const mtime = formatTime(found.mtimeNs);
  return {
    ...{ name, type, mode: goModeOf(Number(found.mode)), mtime, atime: mtime, ctime: formatTime(found.ctimeNs) },
    ...{ uid: Number(found.uid), gid: Number(found.gid), inode: found.ino, deviceId: found.dev },
    ...(their.user !== undefined && { user: their.user }),
    ...(their.group !== undefined && { group: their.group }),
    ...(type === 'file' && { sizeBytes: found.size }),
    ...((type === 'file' || type === 'symlink') && { links: found.nlink }),
    ...(type === 'symlink' && { linkTarget: fileText(readlinkSync(path, { encoding: 'buffer' })) }),
    content: their.content,
    ...(their.subtree !== undefined && { subtree: their.subtree }),
  };
}

async function treeAt(repository: Repository, table: BlobTable, root: string, path: string): Promise<string> {
  let id = root;
  for (const part of path.split('/').filter(Boolean)) {
    const nodes: TreeNode[] = await readTree(repository, table, id);
    id = nodes.find(({ name }) => name === part)?.subtree ?? '';
  }
  return id;
}

test(
  'what restic backed up is read whole: keys, snapshots, trees, every blob and every pack header',
  options,
  async () => {
    await using at = scratch();
    const path = join(at.path, 'repository');
    const source = join(at.path, 'source');
    makeSource(source);
    await restic(path, ['init']);
    await restic(path, ['backup', source, '--tag', 'odd', '--host', 'elsewhere']);
    await restic(path, ['backup', source, '--host', 'elsewhere']);

    const repository = await openRepository({ address: directoryAddress(path), password });
    assert.equal((await listKeys(repository.store)).length, 1);
    const { snapshots, damaged } = await listSnapshots(repository);
    assert.deepEqual([snapshots.length, damaged], [2, []]);
    assert.deepEqual([snapshots[0]?.tags, snapshots[1]?.parent], [['odd'], snapshots[0]?.id]);
    const table = await loadedTable(repository);
    let blobs = 0;
    for await (const pack of repository.store.list('data')) {
      for (const entry of await readPackHeader(repository.store, repository, pack)) {
        const slot = table.find(entry.type, entry.id);
        const { offset, length, uncompressedLength } = entry;
        const number = table.location(slot)?.pack ?? -1;
        assert.deepEqual(table.location(slot), { pack: number, offset, length, uncompressedLength });
        assert.equal(table.packName(number), pack.name);
        assert.deepEqual(blobId(await readBlob(repository, table, entry.type, entry.id)), Buffer.from(entry.id));
        blobs += 1;
      }
    }
    assert.equal(blobs, table.blobCount);
  },
);

test('a tree of the same files gets the bytes, and so the id, that restic gives it', options, async () => {
  await using at = scratch();
  const path = join(at.path, 'repository');
  const source = join(at.path, 'source');
  makeSource(source);
  await restic(path, ['init']);
  await restic(path, ['backup', source]);
  const repository = await openRepository({ address: directoryAddress(path), password });
  const table = await loadedTable(repository);
  const snapshot = await findSnapshot(repository, 'latest', { paths: [source] });
  const id = await treeAt(repository, table, snapshot.tree, source);
  const theirs = await readTree(repository, table, id);
  assert.equal(theirs.length, oddNames.length + 8);
  const ours = encodeTree(nodesOnDisk(source, theirs));
  const stored = await readBlob(repository, table, 'tree', Buffer.from(id, 'hex'));
  assert.equal(Buffer.from(ours).toString(), Buffer.from(stored).toString());
  assert.equal(hexOf(blobId(ours)), id);
  for (const folder of ['empty folder', 'sticky']) {
    const tree = await treeAt(repository, table, id, folder);
    assert.equal(hexOf(blobId(encodeTree([]))), tree, folder);
  }
});

const refused = [
  {
    name: 'a repository of format version 1 is refused',
    init: ['init', '--repository-version', '1'],
    with: password,
    code: 'REPOSITORY_UNSUPPORTED',
  },
  { name: 'a wrong password is refused', init: ['init'], with: 'wrong', code: 'REPOSITORY_KEY_WRONG' },
];
for (const { name, init, with: given, code } of refused) {
  test(name, options, async () => {
    await using at = scratch();
    await restic(at.path, init);
    await assert.rejects(openRepository({ address: directoryAddress(at.path), password: given }), (err) => {
      assert.ok(err instanceof MusterError && err.code === code, String(err));
      assert.ok(!err.message.includes('wrong') || given !== 'wrong', err.message);
      return true;
    });
  });
}
