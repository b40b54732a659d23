import { createBallotClock } from '../../../storage-node/consensus/ballot.ts';
import { type ClusterLayer, createClusterLayer } from '../../../storage-node/object/cluster-layer.ts';
import { type Upload } from '../../../storage-node/object/model.ts';
import { type ErasureSet } from '../../../storage-node/store/set.ts';
import { realClock, testEnv } from './memory-set.ts';
import { kernels } from './object-node.ts';

/** A node's whole object layer over the given sets. */
export function layerNode(
  sets: readonly ErasureSet[],
  nodeIndex: number,
  random: () => number = Math.random,
): ClusterLayer {
  return createClusterLayer({
    env: testEnv(random),
    kernels,
    ballots: createBallotClock(nodeIndex, realClock),
    sets,
    siteEpoch: () => 0,
    lagging: () => {},
    damaged: () => {},
    readDeadlineMs: 1_000,
    writeDeadlineMs: 3_000,
    graceMs: 10,
  });
}

export async function fill<T>(upload: Upload<T>, body: Uint8Array): Promise<T> {
  for (let at = 0; at < body.length; at += 65_536) {
    if (!upload.write(body.subarray(at, at + 65_536))) {
      await new Promise<void>((resolve) => {
        upload.onDrain = resolve;
      });
    }
  }
  await upload.end();
  return upload.commit({ conditions: {}, checksum: undefined });
}

export async function store(layer: ClusterLayer, bucket: string, key: string, body: Uint8Array): Promise<void> {
  const metadata = { headers: {}, user: {} };
  await fill(await layer.put({ bucket, key, metadata, expectedBytes: body.length }), body);
}

export async function load(layer: ClusterLayer, bucket: string, key: string): Promise<Buffer> {
  const opened = await layer.open(bucket, key, {});
  const chunks: Buffer[] = [];
  try {
    await opened.send(0, opened.info.sizeBytes - 1, {
      closed: false,
      drained: () => Promise.resolve(),
      write(chunk, release) {
        chunks.push(Buffer.from(chunk));
        release();
        return true;
      },
    });
  } finally {
    opened.close();
  }
  return Buffer.concat(chunks);
}
