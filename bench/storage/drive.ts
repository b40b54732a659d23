/**
 * What one drive costs without network or coordinator: durable accepts of small shards, reads, prepares, marks, and the
 * size of the index. `node bench/storage/drive.ts [registers] [directory]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ballotAt } from '../../storage-node/consensus/ballot.ts';
import { createKernels } from '../../storage-node/erasure/kernels.ts';
import { blockSeed } from '../../storage-node/store/block.ts';
import { type AcceptRequest } from '../../storage-node/store/drive-api.ts';
import { type Drive, openDrive } from '../../storage-node/store/drive.ts';
import { openLmdbIndex } from '../../storage-node/store/lmdb-index.ts';
import { realFileSystem } from '../../storage-node/store/real-file-system.ts';
import { systemEnv } from '../../storage-node/system-env.ts';

const registers = Number(process.argv[2] ?? 50_000);
const inFlight = 64;
const kernels = createKernels();
const root = mkdtempSync(path.join(process.argv[3] ?? os.tmpdir(), 'muster-bench-drive-'));
const firstBallot = ballotAt(Date.now());

const open = (): Promise<Drive> =>
  openDrive({
    name: 'bench',
    driveId: 'bench',
    directory: root,
    env: systemEnv,
    files: realFileSystem,
    index: openLmdbIndex(root),
    hasher: kernels,
    memory: kernels.arena,
    reserveBytes: 0,
  });

function keyOf(i: number): Buffer {
  const spread = (i * 2_654_435_761) % 4_294_967_296;
  return Buffer.from(`\0\0\0\0\0\0\0\x01kshop/receipts/2026/${String(spread).padStart(10, '0')}.json`, 'latin1');
}

function acceptOf(i: number, shardBytes: number): AcceptRequest {
  const dataId = Buffer.alloc(16);
  dataId.writeBigUInt64BE(BigInt(firstBallot + i), 0);
  dataId.writeUInt32BE(Math.imul(i, 0x9e37_79b1) >>> 0, 8);
  const payload = Buffer.alloc(shardBytes, i);
  const checksum = kernels.xxh64Of(payload, blockSeed(dataId, 1, 0));
  return {
    key: keyOf(i),
    ballot: firstBallot + i,
    siteEpoch: 0,
    fromClient: true,
    bucketGeneration: 0,
    tombstone: false,
    hidden: false,
    state: Buffer.alloc(90, i),
    headData: shardBytes > 0 ? dataId : undefined,
    puts: shardBytes > 0 ? [{ kind: 'small', dataId, shard: 1, payload, checksum }] : [],
    frees: [],
    keeps: [],
    cancels: [],
    base: 0,
    change: { note: Buffer.alloc(40, i) },
  };
}

/** Runs something for each number, 64 at a time, and tells what one cost. */
async function measure(name: string, from: number, to: number, one: (i: number) => Promise<unknown>): Promise<void> {
  let next = from;
  const cpu = process.cpuUsage();
  const beganAt = performance.now();
  const lane = async (): Promise<void> => {
    while (next < to) await one(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - beganAt) / 1000;
  const count = to - from;
  const each = ((user + system) / count).toFixed(1);
  console.log(
    `${name}: ${Math.round(count / seconds)}/s, ${each} us of CPU each (${Math.round((100 * user) / (user + system))}% user)`,
  );
}

const drive = await open();
try {
  const none = Math.floor(registers / 4);
  await measure('accept without data', 0, none, (i) => drive.accept(acceptOf(i, 0)));
  await measure('accept of 2 KiB', none, registers, (i) => drive.accept(acceptOf(i, 2048)));
  await measure('prepare, accept of 2 KiB, decide', registers, registers + none, async (i) => {
    const request = acceptOf(i, 2048);
    await drive.prepare({ key: request.key, ballot: request.ballot });
    await drive.accept(request);
    drive.decide([{ key: request.key, ballot: request.ballot }]);
  });
  await measure('read with 2 KiB', none, registers, (i) => drive.read({ key: keyOf(i), withHead: true }));
  await measure('read without data', none, registers, (i) => drive.read({ key: keyOf(i), withHead: false }));
  await measure('decide', 0, registers, async (i) => drive.decide([{ key: keyOf(i), ballot: firstBallot + i }]));
  await drive.settleMarks();
  const prefix = Buffer.from('\0\0\0\0\0\0\0\x01k', 'latin1');
  const page = { prefix, after: undefined, delimiter: undefined, limit: 1000, skipTombstones: true, skipHidden: true };
  await measure('scan of 1000', 0, 200, () => drive.scan(page));
  await measure('packed scan of 1000', 0, 200, () => drive.scanPacked(page));
  await measure('digest of 1000', 0, 200, () => drive.scanDigest(page));
  const { indexBytes, segmentBytes } = await drive.stat();
  console.log(`index ${(indexBytes / (registers + none)).toFixed(0)} bytes a register, segments ${segmentBytes} bytes`);
  const cpu = process.cpuUsage();
  await drive.close();
  console.log(`close with marks: ${(process.cpuUsage(cpu).user / registers).toFixed(1)} us of CPU a mark`);
  const beganAt = performance.now();
  const again = await open();
  console.log(`opened again in ${(performance.now() - beganAt).toFixed(0)} ms`);
  await again.close();
} finally {
  rmSync(root, { recursive: true, force: true });
}
