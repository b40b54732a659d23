import { createBallotClock } from '../../../storage-node/consensus/ballot.ts';
import { createHedgeBudget } from '../../../storage-node/consensus/hedge.ts';
import { createRegisters, type Registers } from '../../../storage-node/consensus/registers.ts';
import { createKernels } from '../../../storage-node/erasure/kernels.ts';
import { type Kernels } from '../../../storage-node/erasure/types.ts';
import { rebuildLost } from '../../../storage-node/heal/rebuild.ts';
import { type HealDeps } from '../../../storage-node/heal/types.ts';
import { type Bucket, type ByteTarget, type Conditions, type PutResult } from '../../../storage-node/object/model.ts';
import { createObjects, type Objects } from '../../../storage-node/object/objects.ts';
import { createSetScanner } from '../../../storage-node/object/set-scan.ts';
import { dataIdsOf, dataOf, headOf, lentDataOf } from '../../../storage-node/object/state-codec.ts';
import { type ErasureSet } from '../../../storage-node/store/set.ts';
import { realClock, testEnv } from './memory-set.ts';

export const kernels: Kernels = createKernels();

/** One node's view of one bucket, without the layers above objects. */
export interface ObjectNode {
  objects: Objects;
  registers: Registers;
  set: ErasureSet;
  heal: HealDeps;
  bucket: Bucket;
  lagging: string[];
  damaged: string[];
}

/** As in production: nothing waits for them to run out, and a disk may be slow. */
const [readDeadlineMs, writeDeadlineMs] = [5_000, 10_000];

interface ObjectNodeSettings {
  versioning?: Bucket['versioning'];
  random?: () => number;
  beforeRebuild?: () => Promise<void>;
}

export function objectNode(set: ErasureSet, nodeIndex: number, settings: ObjectNodeSettings = {}): ObjectNode {
  const env = testEnv(settings.random ?? Math.random);
  const ballots = createBallotClock(nodeIndex, realClock);
  const lagging: string[] = [];
  const damaged: string[] = [];
  const registers = createRegisters({
    env,
    ballots,
    ...{ dataIdsOf, lentDataOf },
    rebuild: async (lost) => {
      await settings.beforeRebuild?.();
      return rebuildLost({ env, kernels, deadlineMs: readDeadlineMs }, lost);
    },
    siteEpoch: () => 0,
    lagging: (_, key) => lagging.push(Buffer.from(key).toString('latin1')),
    readDeadlineMs,
    writeDeadlineMs,
    graceMs: 20,
  });
  const bucket: Bucket = {
    name: 'photos',
    id: '0102030405060708',
    createdAtMs: 0,
    versioning: settings.versioning ?? 'Off',
    generation: 1,
    owner: 'root',
    region: 'us-east-1',
    documents: {},
  };
  const objects = createObjects({
    env,
    kernels,
    ballots,
    sets: [set],
    registers,
    hedges: createHedgeBudget(),
    scanner: createSetScanner({ env, registers, deadlineMs: readDeadlineMs }),
    bucket: () => Promise.resolve(bucket),
    withBucket: (_, write) => write(bucket),
    damaged: (data) => damaged.push(Buffer.from(data.key).toString('latin1')),
    readDeadlineMs,
    writeDeadlineMs,
  });
  const values = { dataOf, headOf };
  const heal: HealDeps = {
    env,
    kernels,
    ballots,
    registers,
    values,
    deadlineMs: readDeadlineMs,
    throttle: () => Promise.resolve(),
  };
  return { objects, registers, set, heal, bucket, lagging, damaged };
}

export async function putObject(
  { objects, bucket }: ObjectNode,
  key: string,
  body: Uint8Array,
  options: { conditions?: Conditions; declare?: boolean } = {},
): Promise<PutResult> {
  const upload = await objects.put({
    bucket: bucket.name,
    key,
    metadata: { headers: { 'content-type': 'text/plain' }, user: { mtime: '1' } },
    expectedBytes: options.declare === false ? undefined : body.length,
  });
  for (let at = 0; at < body.length;) {
    const end = Math.min(body.length, at + 60_000);
    if (!upload.write(body.subarray(at, end))) {
      await new Promise<void>((resolve) => {
        upload.onDrain = resolve;
      });
    }
    at = end;
  }
  await upload.end();
  return upload.commit({ conditions: options.conditions ?? {}, checksum: undefined });
}

export async function getObject(
  { objects, bucket }: ObjectNode,
  key: string,
  range?: [number, number],
  versionId?: string,
): Promise<Buffer> {
  const opened = await objects.open(bucket.name, key, versionId === undefined ? {} : { versionId });
  try {
    const chunks: Buffer[] = [];
    const target: ByteTarget = {
      closed: false,
      drained: () => Promise.resolve(),
      write(chunk, release) {
        chunks.push(Buffer.from(chunk));
        release();
        return true;
      },
    };
    const [first, last] = range ?? [0, opened.info.sizeBytes - 1];
    await opened.send(first, last, target);
    return Buffer.concat(chunks);
  } finally {
    opened.close();
  }
}
