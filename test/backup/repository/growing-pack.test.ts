/** Packs that are written while they grow: durable only when they are whole, and nothing is left of those given up. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { createZstd } from '../../../activities/backup/kernels/zstd.ts';
import { blobId, openBlob } from '../../../activities/backup/repository/blob.ts';
import { openDirectoryStore } from '../../../activities/backup/repository/directory-store.ts';
import { parsePackHeader } from '../../../activities/backup/repository/pack-header.ts';
import { createPackBuilder } from '../../../activities/backup/repository/pack.ts';
import { createSealer, randomMasterKey } from '../../../activities/backup/repository/sealing.ts';
import { pathOf } from '../../../activities/backup/repository/store.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'muster-growing-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const tools = { sealer: createSealer(randomMasterKey()), zstd: createZstd() };
const store = await openDirectoryStore(dir);
const blobs = [1_500_000, 30, 1_500_000, 6_500_000, 700].map((bytes) => randomBytes(bytes));
const filesBelow = (): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)));

test('a pack that grew is the one that is named, each blob where its header says, and read-only', async () => {
  const builder = createPackBuilder(tools, 'data', { grow: store.grow });
  const added = blobs.map((blob) => builder.add(blobId(blob), blob));
  const { name, file, bytes, sizeBytes, entries } = builder.finish();
  assert.ok(file !== null && bytes.length < sizeBytes);
  for await (const found of store.list('data')) assert.fail(`${found.name} is not whole yet`);
  file.append(bytes);
  await file.finish(name);
  file.discard(); // too late
  assert.deepEqual(filesBelow(), [pathOf('data', name)]);
  const written = readFileSync(path.join(dir, pathOf('data', name)));
  assert.equal(createHash('sha256').update(written).digest('hex'), name);
  assert.equal(statSync(path.join(dir, pathOf('data', name))).mode & 0o777, 0o400);
  assert.deepEqual([written.length, entries], [sizeBytes, added]);
  assert.deepEqual(parsePackHeader(tools, written), added);
  for (const [i, entry] of added.entries()) {
    const opened = openBlob(tools, written.subarray(entry.offset, entry.offset + entry.length), entry);
    assert.ok(opened.kind === 'intact' && Buffer.from(opened.plaintext).equals(blobs[i] as Buffer));
  }
  await store.remove('data', name);
});

test('what is given up leaves nothing, what was killed is found as left over', async () => {
  const builder = createPackBuilder(tools, 'data', { grow: store.grow });
  for (const blob of blobs) builder.add(blobId(blob), blob);
  assert.equal(filesBelow().length, 1);
  builder.discard();
  assert.deepEqual([filesBelow(), builder.sizeBytes, builder.blobCount], [[], 0, 0]);
  for (const blob of blobs) builder.add(blobId(blob), blob);
  for await (const found of store.list('data')) assert.fail(found.name);
  assert.equal(await store.removeLeftovers(0), 1);
  assert.deepEqual(filesBelow(), []);
  builder.discard();
});
