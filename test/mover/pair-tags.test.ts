/** Tags that change alone, both ways between buckets of our own nodes: only the change logs tell of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type NodeLog, openNodeLog } from '../../activities/mover/changes/node-log.ts';
import { openLmdbLedger } from '../../activities/mover/ledger/lmdb-ledger.ts';
import { followPair } from '../../activities/mover/pair/follow-pair.ts';
import { usualPairRule } from '../../activities/mover/pair/pair.ts';
import type { ObjectClient } from '../../activities/objects/types.ts';
import { account, startMoverCluster, type MoverCluster } from './support/cluster.ts';
import { settles } from '../support/settles.ts';

type Dialect = ObjectClient['dialect'];

let cluster: MoverCluster;
let work: string;
before(async () => {
  cluster = await startMoverCluster();
  work = mkdtempSync(path.join(os.tmpdir(), 'muster-pair-tags-'));
});
after(async () => {
  await cluster?.[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

interface Followed extends AsyncDisposable {
  a: ObjectClient;
  b: ObjectClient;
}

interface Following {
  dialects?: readonly [Dialect, Dialect];
  /** Before it is followed. */
  prepare?: (a: ObjectClient) => Promise<void>;
  /** What log A tells waits for it, all but where it begins. */
  told?: Promise<void>;
}

async function followed(name: string, { dialects = ['s3', 's3'], prepare, told }: Following = {}): Promise<Followed> {
  const bucket = (side: string, dialect: Dialect): Promise<ObjectClient> =>
    cluster.bucket(`${name}-${side}`, { dialect });
  const [a, b] = [await bucket('a', dialects[0]), await bucket('b', dialects[1])];
  await prepare?.(a);
  const ledgers = {
    aToB: openLmdbLedger(path.join(work, name, 'aToB')),
    bToA: openLmdbLedger(path.join(work, name, 'bToA')),
  };
  const logOf = ({ place }: ObjectClient): NodeLog => openNodeLog(place, () => Promise.resolve(account));
  const logs = { aToB: told === undefined ? logOf(a) : silentUntil(told, logOf(a)), bToA: logOf(b) };
  const stop = new AbortController();
  const following = followPair({
    ...{ a: { client: a, prefix: '' }, b: { client: b, prefix: '' }, rule: usualPairRule, ledgers, logs },
    ...{ workDirectory: path.join(work, name), signal: stop.signal, everyMs: 3_600_000 },
  });
  return {
    ...{ a, b },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the test is over'));
      await following;
      for (const one of [...Object.values(logs), ...Object.values(ledgers)]) await one[Symbol.asyncDispose]();
    },
  };
}

/** The first reading tells where a log begins. */
function silentUntil(told: Promise<void>, log: NodeLog): NodeLog {
  let readings = 0;
  return {
    async read(from) {
      readings += 1;
      if (readings > 1) await told;
      return log.read(from);
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

const pairs = [
  ['s3', 's3'],
  ['oss', 'oss'],
  ['s3', 'oss'],
] as const;
for (const dialects of pairs) {
  test(`tags follow both ways between ${dialects.join(' and ')}, without a copy of the object`, async () => {
    await using pair = await followed(`pair-${dialects.join('-')}`, { dialects });
    const { a, b } = pair;
    const same = (key: string, tags: Record<string, string>): Promise<void> =>
      settles(async () => {
        for (const side of [a, b]) assert.deepEqual(await side.getTags(key), tags, side.bucket);
      });
    await a.put('of-a', Buffer.from('a'), { tags: { by: 'a' } });
    await b.put('of-b', Buffer.from('b'), { tags: { by: 'b' } });
    await same('of-a', { by: 'a' });
    await same('of-b', { by: 'b' });
    const etags = async (): Promise<string[]> =>
      Promise.all([a, b].flatMap((side) => ['of-a', 'of-b'].map(async (key) => (await side.head(key)).etag)));
    const before = await etags();
    // Each at the side it was written at, and at the other one.
    await a.putTags('of-a', { by: 'a', seen: 'here' });
    await same('of-a', { by: 'a', seen: 'here' });
    await b.putTags('of-a', { by: 'a', seen: 'there' });
    await same('of-a', { by: 'a', seen: 'there' });
    await b.putTags('of-b', {});
    await same('of-b', {});
    await a.putTags('of-b', { by: 'nobody' });
    await same('of-b', { by: 'nobody' });
    assert.deepEqual(await etags(), before);
  });
}

test('tags that come right after the object they belong to are carried, though the object is there already', async () => {
  let tell = (): void => {};
  const told = new Promise<void>((resolve) => (tell = resolve));
  const prepare = async (a: ObjectClient): Promise<void> => void (await a.put('one', Buffer.from('1')));
  await using pair = await followed('pair-at-once', { prepare, told });
  await settles(async () => void (await pair.b.head('one')));
  await pair.a.putTags('one', { late: 'yes' });
  tell();
  await settles(async () => assert.deepEqual(await pair.b.getTags('one'), { late: 'yes' }));
});

test('what is carried comes back in a log, and overwrites nothing that was written meanwhile', async () => {
  await using pair = await followed('pair-echo');
  const { a, b } = pair;
  await a.put('one', Buffer.from('1'));
  await settles(async () => void (await b.head('one')));
  // Faster than they are carried, so that each echo meets newer tags.
  for (let i = 1; i <= 40; i++) {
    await b.putTags('one', { count: String(i) });
    await sleep((i * 7) % 60);
  }
  await settles(async () => {
    for (const side of [a, b]) assert.deepEqual(await side.getTags('one'), { count: '40' }, side.bucket);
  });
  // And stay so: what is under way by now is all there will be.
  await b.putTags('one', { count: 'last' });
  await settles(async () => assert.deepEqual(await a.getTags('one'), { count: 'last' }));
  assert.deepEqual(await b.getTags('one'), { count: 'last' });
});
