import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKernels } from '../../../storage-node/erasure/kernels.ts';
import { remoteDrive } from '../../../storage-node/rpc/remote-drive.ts';
import { eventually } from '../../support/eventually.ts';
import { loopback } from './loopback.ts';
import { scriptedDrive, stageWriter } from './scripted-drive.ts';

const dataId = Buffer.alloc(16, 1);
const blockBytes = 512 * 1024;

test('blocks go from arena to arena: sent from it, staged from it, received in it, all of it given back', async () => {
  const [near, far] = [createKernels(), createKernels()];
  const seed = 77n;
  const sums: bigint[] = [];
  const drive = scriptedDrive({
    stage: () =>
      stageWriter({
        write({ payload }, release) {
          assert.notEqual(far.arena.addressOf(payload), undefined, 'in the arena');
          sums.push(far.xxh64(payload.byteOffset, payload.length, seed));
          release();
        },
      }),
    readBlocks({ count }) {
      const slabs = Array.from({ length: count }, (_, index) => {
        const slab = far.arena.take(blockBytes);
        slab.bytes.fill(index + 1);
        return slab;
      });
      const blocks = slabs.map((slab, index) => {
        const payload = slab.bytes.subarray(0, blockBytes);
        return { index, payload, checksum: far.xxh64(slab.at, blockBytes, seed) };
      });
      return Promise.resolve({
        kind: 'blocks',
        shard: 0,
        blocks,
        release: () => slabs.forEach((slab) => slab.release()),
      });
    },
  });
  await using nodes = await loopback({
    drives: { 0: drive },
    server: { take: far.arena.take },
    peer: { take: near.arena.take },
  });
  const { api } = remoteDrive(nodes.peer, 0);

  const reply = await api.readBlocks({ dataId, first: 0, count: 4 });
  assert.ok(reply.kind === 'blocks');
  for (const { payload, checksum } of reply.blocks) {
    assert.notEqual(near.arena.addressOf(payload), undefined);
    assert.equal(near.xxh64(payload.byteOffset, payload.length, seed), checksum);
  }
  reply.release();
  assert.equal(near.arena.inUseBytes, 0);

  const stage = api.stage({ dataId, shard: 0, expectedBytes: undefined });
  const expected: bigint[] = [];
  for (let index = 0; index < 12; index++) {
    const slab = near.arena.take(blockBytes);
    slab.bytes.fill(index);
    const checksum = near.xxh64(slab.at, blockBytes, seed);
    expected.push(checksum);
    stage.write({ index, payload: slab.bytes.subarray(0, blockBytes), checksum }, () => slab.release());
  }
  await stage.finish();
  assert.deepEqual(sums, expected);
  await eventually('everything sent is given back', () => near.arena.inUseBytes === 0);
});
