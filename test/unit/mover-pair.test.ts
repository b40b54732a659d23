import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pairConflicts } from '../../activities/mover/pair/conflicts.ts';
import { judgePair, winnerOf, type PairVerdict } from '../../activities/mover/pair/judge.ts';
import {
  type PairEvent,
  type PairInput,
  type PairLedgers,
  type PairResult,
  type PairRule,
  usualPairRule,
} from '../../activities/mover/pair/pair.ts';
import { runPair } from '../../activities/mover/pair/run-pair.ts';
import { type Entry } from '../../activities/mover/compare/pages.ts';
import { memoryBucket, type MemoryBucket, type MemoryOptions } from '../mover/support/memory-client.ts';
import { memoryLedger } from '../mover/support/memory-ledger.ts';

async function allOf<T>(some: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of some) all.push(one);
  return all;
}

const entry = (etag: string, lastModifiedMs = 0): Entry => ({
  ...{ key: 'k', sizeBytes: 1, etag, lastModifiedMs, storageClass: 'STANDARD' },
});

test('what became of a key is told from what both had agreed on', () => {
  // [a now, b now, agreed, verdict]; ! marks a side that wrote the same bytes anew
  const rows: [string, string, [string, string], string][] = [
    ['x', 'y', ['x', 'y'], 'agreed'],
    ['', '', ['', ''], 'gone'],
    ['', '', ['x', 'y'], 'gone'],
    ['x', '', ['', ''], 'carry a absent'],
    ['', 'y', ['', ''], 'carry b absent'],
    ['x2', 'y', ['x', 'y'], 'carry a different'],
    ['x', 'y2', ['x', 'y'], 'carry b different'],
    ['x!', 'y', ['x', 'y'], 'carry a properties'],
    ['x', 'y!', ['x', 'y'], 'carry b properties'],
    ['', 'y', ['x', 'y'], 'delete a'],
    ['x', '', ['x', 'y'], 'delete b'],
    ['x2', 'y2', ['x', 'y'], 'both'],
    ['x', 'y', ['', ''], 'both'],
    ['', 'y2', ['x', 'y'], 'both'],
    ['x2', '', ['x', 'y'], 'both'],
    ['', 'y!', ['x', 'y'], 'both'],
    ['x!', 'y!', ['x', 'y'], 'both'],
    ['x!', 'y2', ['x', 'y'], 'both'],
  ];
  const at = (text: string): Entry | undefined => (text === '' ? undefined : entry(text.replace('!', '')));
  for (const [a, b, base, expected] of rows) {
    const said: PairVerdict = judgePair({
      ...{ a: at(a), b: at(b), base: { a: base[0], b: base[1] } },
      touched: { a: a.endsWith('!'), b: b.endsWith('!') },
    });
    const text = [said.kind, 'from' in said ? said.from : '', 'why' in said ? said.why : ''].join(' ').trim();
    assert.equal(text, expected, `${a} | ${b} | ${base.join()}`);
  }
});

test('a policy decides a conflict only where it has an order', () => {
  const [older, newer] = [entry('x', 10_000), entry('y', 20_000)];
  assert.equal(winnerOf('keep', { a: older, b: newer }), undefined);
  assert.equal(winnerOf('a', { a: older, b: newer }), 'a');
  assert.equal(winnerOf('newer', { a: older, b: newer }), 'b');
  assert.equal(winnerOf('newer', { a: newer, b: older }), 'a');
  assert.equal(winnerOf('newer', { a: older, b: entry('y', 10_900) }), undefined);
  assert.equal(winnerOf('newer', { a: undefined, b: older }), 'b');
});

interface World {
  a: MemoryBucket;
  b: MemoryBucket;
  ledgers: PairLedgers;
  events: PairEvent[];
  pass(rule?: Partial<PairRule>, more?: Partial<PairInput>): Promise<PairResult>;
}

function worldOf(options: { a?: MemoryOptions; b?: MemoryOptions } = {}): World {
  const [a, b] = [memoryBucket('a', options.a), memoryBucket('b', options.b)];
  const ledgers = { aToB: memoryLedger(), bToA: memoryLedger() };
  const events: PairEvent[] = [];
  return {
    ...{ a, b, ledgers, events },
    pass: (rule = {}, more = {}) =>
      runPair({
        ...{ a: { client: a.client, prefix: '' }, b: { client: b.client, prefix: '' }, ledgers },
        rule: { ...usualPairRule, ...rule, pass: { ...usualPairRule.pass, deleteShare: 1, ...rule.pass } },
        onEvent: (event) => events.push(event),
        ...more,
      }).finished,
  };
}
const contents = (bucket: MemoryBucket): Record<string, string> =>
  Object.fromEntries(bucket.keys().map((key) => [key, bucket.text(key)]));

test('writes and deletes of both sides reach the other, and nothing bounces back', async () => {
  const { a, b, pass } = worldOf();
  a.set('of-a', '1');
  b.set('of-b', '2');
  a.set('same', '3');
  b.set('same', '3');
  const first = await pass();
  assert.deepEqual([first.kind, first.counts.aToB.copied, first.counts.bToA.copied], ['complete', 1, 1]);
  assert.deepEqual(contents(a), { 'of-a': '1', 'of-b': '2', same: '3' });
  assert.deepEqual(contents(b), contents(a));
  const quiet = await pass();
  assert.deepEqual([quiet.counts.aToB.wanted, quiet.counts.bToA.wanted, quiet.counts.agreed], [0, 0, 3]);
  a.remove('of-b');
  b.remove('same');
  b.set('of-a', 'changed at b');
  const third = await pass();
  assert.deepEqual([third.counts.aToB.deleted, third.counts.bToA.deleted, third.counts.bToA.copied], [1, 1, 1]);
  assert.deepEqual(contents(a), { 'of-a': 'changed at b' });
  assert.deepEqual(contents(b), contents(a));
});

test('what both changed is listed, kept on both sides, and settled by a policy or by agreeing', async () => {
  const { a, b, pass, ledgers, events } = worldOf();
  for (const key of ['one', 'two', 'three', 'gone']) a.set(key, 'old');
  await pass();
  for (const key of ['one', 'two', 'three']) {
    a.set(key, `${key} of a`);
    b.set(key, `${key} of b`);
  }
  a.remove('gone');
  b.set('gone', 'written at b');
  const before = [contents(a), contents(b)];
  const conflicted = await pass();
  assert.equal(conflicted.counts.conflicts, 4);
  assert.deepEqual([contents(a), contents(b)], before);
  const listed = await allOf(pairConflicts(ledgers));
  assert.deepEqual(listed.map(({ key, why }) => `${key} ${why}`).toSorted(), [
    ...['gone both', 'one both', 'three both', 'two both'],
  ]);
  assert.equal(listed.find(({ key }) => key === 'gone')?.a, undefined);
  // A person makes both the same; a policy settles one by name; the rest stands, and is told again.
  b.set('one', 'one of a');
  events.length = 0;
  const settled = await pass({ conflicts: 'b', pass: { ...usualPairRule.pass, filter: { include: ['/two'] } } });
  assert.deepEqual([settled.counts.resolved, a.text('two')], [1, 'two of b']);
  assert.deepEqual(
    events.map((event) => (event.kind === 'conflict' ? event.winner : event.kind)),
    ['b'],
  );
  assert.equal((await pass()).counts.conflicts, 2);
  assert.equal((await pass({ conflicts: 'newer' })).counts.resolved >= 1, true);
  assert.equal(a.text('gone'), 'written at b');
});

test('the side that a policy favours may have deleted it', async () => {
  const { a, b, pass } = worldOf();
  a.set('k', 'old');
  await pass();
  a.remove('k');
  b.set('k', 'written at b');
  await pass({ conflicts: 'a' });
  assert.deepEqual([a.keys(), b.keys()], [[], []]);
});

test('a bucket that lost most of its objects does not empty the other', async () => {
  const { a, b, pass } = worldOf();
  for (let i = 0; i < 20; i++) a.set(`k${i}`, `${i}`);
  await pass();
  for (let i = 0; i < 15; i++) b.remove(`k${i}`);
  b.set('new', 'still arrives');
  const stopped = await pass({ pass: { ...usualPairRule.pass, deleteShare: 0.1 } });
  assert.ok(stopped.kind === 'stopped' && stopped.code === 'DELETE_GUARD', JSON.stringify(stopped));
  assert.equal(a.keys().length, 21);
});

test('a dry run says what would be done and writes nothing', async () => {
  const { a, b, pass, events, ledgers } = worldOf();
  a.set('stays', '1');
  a.set('goes', '1');
  await pass();
  a.remove('goes');
  b.set('comes', '2');
  a.set('stays', 'a');
  b.set('stays', 'b');
  const before = [contents(a), contents(b), await allOf(ledgers.aToB.rows())];
  events.length = 0;
  const planned = await pass({ pass: { ...usualPairRule.pass, mode: 'plan', deleteShare: 1 } });
  assert.equal(planned.kind, 'complete');
  assert.deepEqual([contents(a), contents(b), await allOf(ledgers.aToB.rows())], before);
  const told = events.map((event) =>
    event.kind === 'conflict' ? `conflict ${event.conflict.key}` : `${event.way} ${event.event.kind}`,
  );
  assert.deepEqual(told.toSorted(), ['aToB would-delete', 'bToA would-copy', 'conflict stays']);
});

test('new metadata on old bytes is carried; on both sides it is a conflict', async () => {
  let atMs = Date.now() - 1e6;
  const now = (): number => (atMs += 3_000);
  const { a, b, pass } = worldOf({ a: { now }, b: { now } });
  a.set('k', 'bytes', { metadata: { colour: 'red' } });
  await pass();
  atMs = Date.now();
  b.set('k', 'bytes', { metadata: { colour: 'blue' } });
  const carried = await pass();
  assert.equal(carried.counts.bToA.refreshed, 1);
  assert.equal((await a.client.head('k')).metadata['colour'], 'blue');
  await pass();
  a.set('k', 'bytes', { metadata: { colour: 'green' } });
  b.set('k', 'bytes', { metadata: { colour: 'white' } });
  assert.equal((await pass()).counts.conflicts, 1);
});

/** A user's tool that writes other bytes and keeps the metadata, our marks among them. */
async function rewrite(bucket: MemoryBucket, key: string, text: string): Promise<void> {
  const { metadata } = await bucket.client.head(key);
  bucket.set(key, text, { metadata });
}

for (const [what, call, marked] of [
  ['put', 'put', false],
  ['put, by one who keeps the metadata', 'put', true],
  ['look before a delete', 'head', false],
] as const)
  test(`what is written right before the ${what} is neither overwritten nor deleted`, async () => {
    let meanwhile = (): void => {};
    const { a, b, pass, ledgers } = worldOf({
      b: {
        before(now, key) {
          if (now !== call || key !== 'k') return;
          const act = meanwhile;
          meanwhile = () => {};
          act();
        },
      },
    });
    a.set('k', 'agreed');
    await pass();
    const { metadata } = await b.client.head('k');
    if (call === 'put') a.set('k', 'by a');
    else a.remove('k');
    meanwhile = () => b.set('k', 'by b', marked ? { metadata } : {});
    await pass();
    const [left] = await allOf(pairConflicts(ledgers));
    assert.deepEqual([b.text('k'), left?.key], ['by b', 'k']);
    assert.equal(a.has('k') ? a.text('k') : '', call === 'put' ? 'by a' : '');
  });

/** The pass copies, and a kill takes what it wrote down of that. */
async function passThatForgets({ a, b, ledgers }: World): Promise<void> {
  const forgetful = (way: 'aToB' | 'bToA'): PairLedgers['aToB'] =>
    new Proxy(ledgers[way], {
      get: (ledger, name, self) => (name === 'settle' ? () => Promise.resolve() : Reflect.get(ledger, name, self)),
    });
  await runPair({
    ...{ a: { client: a.client, prefix: '' }, b: { client: b.client, prefix: '' }, rule: usualPairRule },
    ledgers: { aToB: forgetful('aToB'), bToA: forgetful('bToA') },
  }).finished;
}

test('a copy that a kill left unrecorded is known by its mark, but not when users wrote over it', async () => {
  const world = worldOf();
  const { a, b, pass } = world;
  a.set('k', 'one of a');
  b.set('other', 'one of b');
  a.set('over', 'one of a');
  await passThatForgets(world);
  assert.equal(b.text('k'), 'one of a');
  a.set('k', 'two of a');
  b.set('other', 'two of b');
  await rewrite(b, 'over', 'six of b');
  const next = await pass();
  assert.deepEqual([next.counts.conflicts, b.text('k'), a.text('other')], [1, 'two of a', 'two of b']);
  assert.deepEqual([a.text('over'), b.text('over')], ['one of a', 'six of b']);
});

test('what a pair cannot do is refused', () => {
  const { pass } = worldOf();
  const usual = usualPairRule.pass;
  for (const rule of [
    { pass: { ...usual, versions: true } },
    { pass: { ...usual, mode: 'compare' as const } },
    { pass: { ...usual, filter: { tags: { x: 'y' } } } },
    { names: { a: 'x', b: 'x' } },
  ])
    assert.throws(() => pass(rule), { code: 'CONFIG_INVALID' });
});

/** A user's write or delete at one side. Contents are told apart by who wrote them and when. */
const userOp = fc.record({
  side: fc.constantFrom('a' as const, 'b' as const),
  key: fc.constantFrom('k1', 'k2', 'k3'),
  what: fc.constantFrom('write' as const, 'rewrite' as const, 'write same' as const, 'delete' as const),
});
type UserOp = typeof userOp extends fc.Arbitrary<infer T> ? T : never;

const history = fc.record({
  rounds: fc.array(
    fc.record({
      ops: fc.array(userOp, { maxLength: 5 }),
      /** In the middle of the pass, before the so-manieth look at or write to an object. */
      meanwhile: fc.array(fc.record({ at: fc.nat(12), op: userOp }), { maxLength: 3 }),
      /** The pass dies before this call. */
      killedAt: fc.option(fc.nat(10), { nil: undefined }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  clockOffsetMs: fc.constantFrom(-1e7, 0, 1e6),
});

test('whatever both sides write and whenever a pass dies, in the end they are equal but for listed conflicts, and no write is gone unseen', async () => {
  await fc.assert(
    fc.asyncProperty(history, async ({ rounds, clockOffsetMs }) => {
      let atMs = Date.now() + clockOffsetMs;
      let calls = 0;
      let writes = 0;
      let due: { at: number; op: UserOp }[] = [];
      let kill: { at: number; stop: AbortController } | undefined;
      const written = new Set<string>();
      const superseded = new Set<string>();
      const tick: MemoryOptions = {
        now: () => (atMs += 3_000),
        before(call) {
          // The one moment that no store has a condition for: between the last look and a delete.
          if (call === 'delete') return;
          calls += 1;
          const now = due.filter(({ at }) => at < calls);
          due = due.filter(({ at }) => at >= calls);
          for (const { op } of now) perform(op);
          if (kill !== undefined && calls > kill.at) kill.stop.abort(new Error('killed'));
          kill?.stop.signal.throwIfAborted();
        },
      };
      const world = worldOf({ a: tick, b: tick });
      function perform({ side, key, what }: UserOp): void {
        const bucket = world[side];
        if (bucket.has(key)) superseded.add(`${key}: ${bucket.text(key)}`);
        if (what === 'delete') return bucket.remove(key);
        const text = what === 'write same' ? 'same' : `${side}${(writes += 1)}`;
        // Some tools keep the metadata they find, our marks among them.
        bucket.set(key, text, what === 'rewrite' && bucket.has(key) ? { metadata: bucket.metadata(key) } : {});
        written.add(`${key}: ${text}`);
      }
      for (const { ops, meanwhile, killedAt } of rounds) {
        ops.forEach(perform);
        calls = 0;
        due = meanwhile;
        const stop = new AbortController();
        kill = killedAt === undefined ? undefined : { at: killedAt, stop };
        await world.pass({}, { signal: stop.signal });
        for (const { op } of due) perform(op);
        due = [];
      }
      kill = undefined;
      for (let i = 0; i < 3; i++) assert.equal((await world.pass()).kind, 'complete');
      const [a, b] = [contents(world.a), contents(world.b)];
      const listed = new Set((await allOf(pairConflicts(world.ledgers))).map(({ key }) => key));
      for (const key of ['k1', 'k2', 'k3']) {
        if (listed.has(key)) assert.notEqual(a[key], b[key], `${key} is listed, and both hold the same`);
        else assert.equal(a[key], b[key], `${key} differs and is not listed`);
      }
      for (const write of written) {
        const there = [a, b].some((side) => Object.entries(side).some(([key, text]) => `${key}: ${text}` === write));
        assert.ok(there || superseded.has(write), `${write} is gone, and nobody replaced it`);
      }
      const quiet = await world.pass();
      assert.deepEqual([quiet.counts.aToB.copied, quiet.counts.bToA.copied], [0, 0], 'copies bounce');
    }),
    { numRuns: 50 },
  );
});
