import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { type ChaosCluster, startOn } from './support/cluster.ts';
import { HotKeys, type Seen } from './support/hot-keys.ts';
import { tempHomes } from './support/temp-homes.ts';

const Bucket = 'stalled';
const key = 'k';
const nodes = [0, 1, 2, 3];
/** More than what the system keeps for a connection on both sides, so that the sender does stall. */
const bigBytes = 32 * 1024 * 1024;

async function withCluster(run: (cluster: ChaosCluster, clients: S3Client[]) => Promise<void>): Promise<void> {
  using homes = tempHomes(nodes.length);
  await using cluster = await startOn(homes.dirs);
  const clients = nodes.map(cluster.client);
  await clients[0]!.send(new CreateBucketCommand({ Bucket }));
  await run(cluster, clients);
}

/** Everybody else reads, writes and removes the key, through every node. All of it succeeds, or this fails. */
async function othersGoOn(hot: HotKeys, clients: readonly S3Client[], rounds = 5): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    await Promise.all(clients.map((client, node) => hot.turn({ name: `other${node}`, client, key }, i)));
  }
  assert.deepEqual([...hot.errors], [], 'nobody waits for the one who stalls');
}

test('readers that take nothing after the headers delay nobody, and get the version they opened', () =>
  withCluster(async (_, clients) => {
    const hot = new HotKeys(Bucket);
    const big = randomBytes(bigBytes);
    await clients[0]!.send(new PutObjectCommand({ Bucket, Key: key, Body: big }));
    const stalled = await Promise.all(
      nodes.flatMap((node) => [1, 2].map(() => clients[node]!.send(new GetObjectCommand({ Bucket, Key: key })))),
    );
    await hot.remove({ name: 'first', client: clients[1]!, key });
    await othersGoOn(hot, clients);
    hot.assertLinearizable();
    for (const { Body } of stalled) assert.ok(big.equals(await Body!.transformToByteArray()));
  }));

function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** A body of which half is sent, and the rest when it is let go. */
function halfSent(): { sent: (bytes: Buffer) => Readable; half: Promise<void>; letGo: () => void } {
  const half = gate();
  const rest = gate();
  async function* drip(bytes: Buffer): AsyncGenerator<Buffer> {
    const middle = Math.floor(bytes.length / 2);
    yield bytes.subarray(0, middle);
    half.open();
    await rest.opened;
    yield bytes.subarray(middle);
  }
  return { sent: (bytes) => Readable.from(drip(bytes)), half: half.opened, letGo: rest.open };
}

interface SlowWrite {
  name: string;
  condition: (now: Seen) => Seen | undefined;
}

const whatIsThere: SlowWrite = { name: 'If-Match of what is there', condition: (now) => now };
const nothing: SlowWrite = {
  name: 'If-None-Match: *',
  condition: () => ({ value: undefined, etag: undefined }),
};
const unconditional: SlowWrite = { name: 'no condition', condition: () => undefined };

const cases: {
  slow: SlowWrite;
  /** What others do while half of the body is sent. */
  meanwhile: 'read' | 'write' | 'write and remove';
  wins: boolean;
}[] = [
  { slow: whatIsThere, meanwhile: 'read', wins: true },
  { slow: whatIsThere, meanwhile: 'write', wins: false },
  { slow: nothing, meanwhile: 'write', wins: false },
  { slow: nothing, meanwhile: 'write and remove', wins: true },
  { slow: unconditional, meanwhile: 'write', wins: true },
];

test('writers whose bodies drip delay nobody, and are judged when they are done', async (t) =>
  withCluster(async (_, clients) => {
    for (const { slow, meanwhile, wins } of cases) {
      const name = `${slow.name}, others ${meanwhile} meanwhile: it ${wins ? 'wins' : 'is refused'}`;
      await t.test(name, async () => {
        const hot = new HotKeys(Bucket);
        const at = (who: string, node: number): { name: string; client: S3Client; key: string } => ({
          ...{ name: who, client: clients[node]!, key },
        });
        await hot.put(at('first', 0));
        const now = (await hot.get(at('first', 1)))!;
        const { sent, half, letGo } = halfSent();
        const writer = hot.put(at('slow', 2), slow.condition(now), sent);
        await half;
        if (meanwhile === 'read') await Promise.all(nodes.map((node) => hot.get(at(`other${node}`, node))));
        else await othersGoOn(hot, clients);
        await (meanwhile === 'write and remove' ? hot.remove(at('last', 3)) : hot.get(at('last', 3)));
        if (meanwhile === 'write') await hot.put(at('last', 3));
        letGo();
        await writer;
        const end = hot.operations.find(({ client }) => client === 'slow')!.outcome.kind;
        assert.equal(end, wins ? 'ok' : 'refused', hot.errors.get('slow')?.join());
        const shown = await Promise.all(nodes.map((node) => hot.get(at(`end${node}`, node))));
        for (const one of shown) assert.equal(one!.value!.startsWith('slow'), wins);
        hot.assertLinearizable();
        await hot.remove(at('last', 0));
      });
    }
  }));
