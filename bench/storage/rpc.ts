/**
 * What a call between two nodes costs: requests and bytes per CPU-second of each side, plain and under TLS, on
 * loopback with a drive that does nothing. `node bench/storage/rpc.ts [seconds per figure] [part of a figure's name]`.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Clock } from '../../storage-node/ports.ts';
import { createClusterCa, issueNodeCertificate, writeNodeFiles } from '../../storage-node/rpc/certs.ts';
import { type TailMemory } from '../../storage-node/rpc/frame.ts';
import { fixedIdentity, type Security } from '../../storage-node/rpc/identity.ts';
import { loadIdentity } from '../../storage-node/rpc/identity-files.ts';
import { createPeer, type Peer } from '../../storage-node/rpc/peer.ts';
import { remoteDrive } from '../../storage-node/rpc/remote-drive.ts';
import { createRpcServer } from '../../storage-node/rpc/server.ts';
import { type DriveApi, DriveUnavailable, type StageWriter } from '../../storage-node/store/drive-api.ts';

const clusterId = 'bench';
const blockBytes = 512 * 1024;
const key = Buffer.from('\0\0\0\0\0\0\0\x01kphotos/2026/11/img-0001.jpg');
const dataId = Buffer.alloc(16, 7);

const clock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Memory that is used again, as an arena's. */
function pooled(): (size: number) => TailMemory {
  const free: Uint8Array[] = [];
  return (size) => {
    const bytes = free.pop() ?? new Uint8Array(Math.max(size, blockBytes));
    return { bytes, release: () => free.push(bytes) };
  };
}

function security(directory: string): Security {
  return directory === 'plain' ? { kind: 'plain' } : { kind: 'tls', identity: fixedIdentity(loadIdentity(directory)) };
}

/** Answers at once, and keeps nothing. */
function idleDrive(): DriveApi {
  const state = Buffer.alloc(120, 3);
  const register = { ballot: 1e12, decided: true, tombstone: false, hidden: false, state };
  const block = { payload: Buffer.alloc(blockBytes, 5), checksum: 77n };
  const payload = Buffer.alloc(2048, 4);
  const head = { kind: 'shard', dataId, shard: 1, payload, checksum: 5n } as const;
  const never = (): Promise<never> => Promise.reject(new DriveUnavailable('not part of the bench'));
  const stage: StageWriter = {
    write: (_block, release) => release(),
    queuedBytes: 0,
    onProgress: undefined,
    finish: () => Promise.resolve(),
    abort() {},
  };
  return {
    read: ({ withHead }) => Promise.resolve({ ...register, older: [], head: withHead ? head : undefined }),
    prepare: () =>
      Promise.resolve({
        kind: 'promised',
        register: { ...register, headData: dataId, note: undefined, older: [] },
      } as const),
    accept: () => Promise.resolve({ kind: 'accepted' } as const),
    decide() {},
    stage: () => stage,
    readBlocks: ({ first, count }) => {
      const blocks = Array.from({ length: count }, (_, at) => ({ index: first + at, ...block }));
      return Promise.resolve({ kind: 'blocks', shard: 0, blocks, release() {} } as const);
    },
    pin: () => ({ release() {} }),
    learn: never,
    unstage: never,
    readSmall: never,
    checkData: never,
    repair: never,
    scan: never,
    scanDigest: never,
    scanPacked: never,
    log: never,
    raiseFloor: never,
    forget: never,
    siteState: never,
    setSiteState: never,
    guardBucket: never,
    stat: never,
  };
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function serve(directory: string): Promise<void> {
  const server = createRpcServer({
    name: { clusterId, nodeId: '1' },
    security: security(directory),
    drives: new Map([[0, idleDrive()]]),
    controls: new Map([['cpu', cpuSeconds]]),
    clock,
    take: pooled(),
  });
  const port = await server.listen('127.0.0.1', 0);
  process.send?.(port);
  process.once('disconnect', () => process.exit());
}

type Work = (drive: DriveApi) => Promise<number>;

const works: { name: string; unit: string; concurrency: number; run: Work }[] = [
  ...[1, 16, 256].map((concurrency) => ({
    name: `read, ${concurrency} at a time`,
    unit: 'calls',
    concurrency,
    run: async (drive: DriveApi) => {
      await drive.read({ key, withHead: true });
      return 1;
    },
  })),
  ...[16, 256].map((concurrency) => ({
    name: `accept 2 KiB and decide, ${concurrency} at a time`,
    unit: 'calls',
    concurrency,
    run: async (drive: DriveApi) => {
      await drive.accept({
        key,
        ballot: 1e12,
        siteEpoch: 1,
        fromClient: true,
        bucketGeneration: 3,
        tombstone: false,
        hidden: false,
        state: Buffer.alloc(120, 3),
        headData: dataId,
        puts: [{ kind: 'small', dataId, shard: 1, payload: Buffer.alloc(2048, 4), checksum: 5n }],
        frees: [],
        keeps: [],
        cancels: [],
        base: 0,
        change: { note: Buffer.alloc(60, 1) },
      });
      drive.decide([{ key, ballot: 1e12 }]);
      return 1;
    },
  })),
  {
    name: 'read blocks, 2 x 512 KiB, 4 at a time',
    unit: 'MB',
    concurrency: 4,
    run: async (drive) => {
      const reply = await drive.readBlocks({ dataId, first: 0, count: 2 });
      if (reply.kind !== 'blocks') throw new Error('no blocks');
      reply.release();
      return (2 * blockBytes) / 1e6;
    },
  },
  {
    name: 'stage 8 x 512 KiB, 4 at a time',
    unit: 'MB',
    concurrency: 4,
    run: async (drive) => {
      const stage = drive.stage({ dataId, shard: 1, expectedBytes: 8 * blockBytes });
      for (let index = 0; index < 8; index++) stage.write({ index, payload: outgoing, checksum: 7n }, () => {});
      await stage.finish();
      return (8 * blockBytes) / 1e6;
    },
  },
];
const [role, argument] = process.argv.slice(2);
const part = argument ?? '';
const outgoing = Buffer.alloc(blockBytes, 9);

async function measure(peer: Peer, work: (typeof works)[number], seconds: number): Promise<string> {
  const { api } = remoteDrive(peer, 0);
  const once = async (forMs: number): Promise<{ done: number; own: number; theirs: number }> => {
    const theirs = (await peer.control('cpu', 0)) as number;
    const own = cpuSeconds();
    const endMs = performance.now() + forMs;
    let done = 0;
    const runner = async (): Promise<void> => {
      while (performance.now() < endMs) {
        const amount = await work.run(api);
        done += amount;
      }
    };
    await Promise.all(Array.from({ length: work.concurrency }, runner));
    return { done, own: cpuSeconds() - own, theirs: ((await peer.control('cpu', 0)) as number) - theirs };
  };
  await once(300);
  const { done, own, theirs } = await once(seconds * 1000);
  const perCpu = (cpu: number): string => Math.round(done / cpu).toLocaleString('en');
  return `${work.name.padEnd(42)} ${perCpu(own).padStart(9)} ${perCpu(theirs).padStart(9)} ${work.unit}`;
}

async function bench(directory: string, seconds: number): Promise<void> {
  const child = fork(import.meta.filename, ['serve', directory === 'plain' ? 'plain' : path.join(directory, '1')]);
  const port = await new Promise<number>((resolve) => child.once('message', (message) => resolve(Number(message))));
  const peer = createPeer({
    name: { clusterId, nodeId: '0' },
    to: { nodeId: '1', host: '127.0.0.1', port },
    security: security(directory === 'plain' ? 'plain' : path.join(directory, '0')),
    env: { clock, randomBytes: (count) => randomBytes(count) },
    take: pooled(),
  });
  try {
    await peer.connect();
    for (const work of works.filter(({ name }) => name.includes(part))) console.log(await measure(peer, work, seconds));
  } finally {
    peer.close();
    child.disconnect();
  }
}

if (role === 'serve') await serve(part);
else {
  const seconds = Number(role ?? 1);
  const directory = mkdtempSync(path.join(os.tmpdir(), 'muster-bench-rpc-'));
  try {
    const ca = createClusterCa({ clusterId, days: 1 });
    for (const nodeId of ['0', '1']) {
      const node = issueNodeCertificate({ ca, clusterId, nodeId, hosts: ['127.0.0.1'], days: 1 });
      writeNodeFiles(path.join(directory, nodeId), node, [ca.certificate]);
    }
    console.log(`per CPU-second of                            caller    called   Node ${process.version}`);
    for (const kind of ['plain', directory]) {
      console.log(kind === 'plain' ? '-- plain' : '-- TLS 1.3');
      await bench(kind, seconds);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
