import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { replicationFigures, type FiguresInput } from '../../activities/mover/ledger/figures.ts';
import { type LedgerRow, type NotedWrite, type ReplicationLedger } from '../../activities/mover/ledger/ledger.ts';
import { openLmdbLedger } from '../../activities/mover/ledger/lmdb-ledger.ts';
import { lossLines } from '../../activities/mover/ledger/lost.ts';

async function inDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'muster-ledger-'));
  try {
    await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const write = (key: string, etag: string, writtenAtMs: number, sizeBytes = 10): NotedWrite => ({
  ...{ key, version: '', op: 'put', writtenAtMs, sizeBytes, sourceEtag: etag },
});
const none = { objects: 0, sizeBytes: 0 };
const some = { pending: none, copied: none, failed: none, verifiedRows: 5 };
const base: FiguresInput = { totals: some, observed: undefined, rate: undefined, nowMs: 100_000 };
const seen = { upToMs: 99_000, by: 'change-log' as const, clockOffsetMs: 0 };

const figures: { name: string; input: Partial<FiguresInput>; want: Record<string, [number | null, string]> }[] = [
  {
    name: 'a source that was never seen whole leaves everything unknown, never nought',
    input: {},
    want: { oldestPendingAgeMs: [null, 'unknown'], backlogObjects: [null, 'unknown'], etaMs: [null, 'unknown'] },
  },
  {
    name: 'with nothing pending the age is that of the last look',
    input: { observed: seen },
    want: { oldestPendingAgeMs: [1_000, 'measured'], backlogObjects: [0, 'measured'], etaMs: [0, 'measured'] },
  },
  {
    name: 'the oldest pending write is the age, by the clock of the source',
    input: {
      totals: { ...some, pending: { objects: 4, sizeBytes: 400 }, oldestDueMs: 40_000 },
      observed: { ...seen, clockOffsetMs: 500 },
    },
    want: {
      oldestPendingAgeMs: [60_500, 'measured'],
      verifiedWatermarkMs: [40_000, 'measured'],
      etaMs: [null, 'unknown'],
    },
  },
  {
    name: 'what is copied and not proved is backlog, and so is what failed',
    input: {
      totals: { ...some, copied: { objects: 1, sizeBytes: 7 }, failed: { objects: 2, sizeBytes: 3 }, oldestDueMs: 1 },
      observed: seen,
    },
    want: { backlogObjects: [3, 'measured'], backlogBytes: [10, 'measured'], failedObjects: [2, 'measured'] },
  },
  {
    name: 'a sweep estimates, and so do clocks that were never compared',
    input: { observed: { upToMs: 99_000, by: 'sweep' } },
    want: { oldestPendingAgeMs: [1_000, 'estimated'], verifiedWatermarkMs: [99_000, 'estimated'] },
  },
  {
    name: 'the end is when objects and bytes are both done',
    input: {
      totals: { ...some, pending: { objects: 100, sizeBytes: 1_000 }, oldestDueMs: 1 },
      ...{ observed: seen, rate: { objectsPerSecond: 10, bytesPerSecond: 50 } },
    },
    want: { etaMs: [20_000, 'estimated'], drainBytesPerSecond: [50, 'measured'] },
  },
  {
    name: 'what does not drain has no end',
    input: {
      totals: { ...some, pending: { objects: 1, sizeBytes: 1 }, oldestDueMs: 1 },
      ...{ observed: seen, rate: { objectsPerSecond: 0, bytesPerSecond: 0 } },
    },
    want: { etaMs: [null, 'unknown'], drainObjectsPerSecond: [0, 'measured'] },
  },
];
for (const { name, input, want } of figures) {
  test(`figures: ${name}`, () => {
    const found = replicationFigures({ ...base, ...input });
    for (const [figure, [value, confidence]] of Object.entries(want)) {
      const got = found[figure as keyof typeof found];
      assert.deepEqual([figure, got.value, got.confidence], [figure, value, confidence]);
    }
  });
}

test('totals and the order of the backlog are those of the rows, also after the ledger was opened again', () =>
  inDirectory(async (directory) => {
    const order = fc.record({
      key: fc.constantFrom('a', 'b', 'a\0', '\u{1f600}', 'z/'.repeat(500)),
      etag: fc.constantFrom('1', '2', '3'),
      atMs: fc.integer({ min: 1, max: 50 }),
      what: fc.constantFrom('note', 'verified', 'failed', 'copied', 'note'),
    });
    let turn = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(order, { maxLength: 25 }), fc.nat(3), async (orders, together) => {
        const place = path.join(directory, String(turn++));
        const open: { ledger: ReplicationLedger } = { ledger: openLmdbLedger(place) };
        const waiting: Promise<void>[] = [];
        for (const [i, { key, etag, atMs, what }] of orders.entries()) {
          if (what === 'note') waiting.push(open.ledger.note([write(key, etag, atMs)]));
          else
            waiting.push(
              open.ledger.settle([{ key, version: '', state: what as LedgerRow['state'], sourceEtag: etag }]),
            );
          if (i % (together + 1) === 0) await Promise.all(waiting);
        }
        await Promise.all(waiting);
        await compareWithRows(open.ledger);
        await open.ledger[Symbol.asyncDispose]();
        open.ledger = openLmdbLedger(place);
        await compareWithRows(open.ledger);
        await open.ledger[Symbol.asyncDispose]();
      }),
      { numRuns: 25 },
    );
  }));

async function compareWithRows(ledger: ReplicationLedger): Promise<void> {
  const rows: LedgerRow[] = [];
  for await (const row of ledger.rows()) rows.push(row);
  const backlog: LedgerRow[] = [];
  for await (const row of ledger.backlog()) backlog.push(row);
  const open = rows.filter(({ state }) => state !== 'verified');
  const totals = await ledger.totals();
  for (const state of ['pending', 'copied', 'failed'] as const) {
    const those = open.filter((row) => row.state === state);
    const sizeBytes = those.reduce((sum, row) => sum + row.sizeBytes, 0);
    assert.deepEqual(totals[state], { objects: those.length, sizeBytes });
  }
  assert.equal(totals.verifiedRows, rows.length - open.length);
  assert.equal(totals.oldestDueMs, open.length === 0 ? undefined : Math.min(...open.map((row) => row.dueSinceMs)));
  const order = (a: LedgerRow, b: LedgerRow): number => a.dueSinceMs - b.dueSinceMs || a.seq - b.seq;
  assert.deepEqual(backlog, open.toSorted(order));
}

test('a key that was overwritten before it was copied stays due since the first of its writes', () =>
  inDirectory(async (directory) => {
    await using ledger = openLmdbLedger(directory);
    await ledger.note([write('k', '1', 10)]);
    await ledger.note([write('k', '2', 50)]);
    assert.equal((await ledger.totals()).oldestDueMs, 10);
    // The copy of the first write ends late: the second is still to be done.
    await ledger.settle([{ key: 'k', version: '', state: 'verified', sourceEtag: '1' }]);
    assert.equal((await ledger.totals()).pending.objects, 1);
    await ledger.settle([{ key: 'k', version: '', state: 'verified', sourceEtag: '2' }]);
    assert.equal((await ledger.totals()).oldestDueMs, undefined);
  }));

test('a frozen ledger takes nothing, in this process and the next, and lists what was not proved', () =>
  inDirectory(async (directory) => {
    const refused = (work: Promise<unknown>): Promise<void> => assert.rejects(work, { code: 'REPLICATION_FROZEN' });
    {
      await using ledger = openLmdbLedger(directory);
      await ledger.note([write('lost', '1', 20), write('proved', '1', 5), write('unproved', '1', 10)]);
      await ledger.settle([
        { key: 'proved', version: '', state: 'verified', sourceEtag: '1' },
        { key: 'unproved', version: '', state: 'copied', sourceEtag: '1' },
      ]);
      await ledger.setObserved({ upToMs: 30, by: 'change-log', clockOffsetMs: 0 });
      await ledger.freeze({ epoch: 4, why: 'failover' });
      await refused(ledger.note([write('late', '1', 40)]));
    }
    await using again = openLmdbLedger(directory);
    await refused(again.settle([{ key: 'lost', version: '', state: 'verified', sourceEtag: '1' }]));
    await refused(again.setObserved({ upToMs: 60, by: 'sweep' }));
    const lines: Record<string, unknown>[] = [];
    for await (const line of lossLines(again)) lines.push(JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      lines.map(({ key, certainty, observedUpToMs, writes }) => [key, certainty, observedUpToMs, writes]),
      [
        [undefined, undefined, 30, 2],
        ['unproved', 'unproved', undefined, undefined],
        ['lost', 'lost', undefined, undefined],
      ],
    );
  }));

test('a directory belongs to one process at a time', () =>
  inDirectory(async (directory) => {
    await using ledger = openLmdbLedger(directory);
    assert.throws(() => openLmdbLedger(directory), { code: 'LEDGER_CONFLICT' });
    await ledger.totals();
  }));

test('an upload comes back with its parts in order, and is gone when it is dropped', () =>
  inDirectory(async (directory) => {
    await using ledger = openLmdbLedger(directory);
    const id = { key: 'k', version: '' };
    const state = { ...id, uploadId: 'u', begunAtMs: 1, sourceEtag: 'e', sizeBytes: 3, partSizeBytes: 1 };
    await ledger.saveUpload(state);
    await ledger.saveUpload({ ...state, key: 'k2' });
    const part = (partNumber: number) => ({ partNumber, etag: 'e', sizeBytes: 1, checksums: {}, own: { crc32: '00' } });
    await Promise.all([300, 2, 1].map((number) => ledger.savePart(id, part(number))));
    assert.deepEqual(await ledger.upload(id), { state, parts: [part(1), part(2), part(300)] });
    await ledger.dropUpload(id);
    assert.equal(await ledger.upload(id), undefined);
    const left: string[] = [];
    for await (const { key } of ledger.uploads()) left.push(key);
    assert.deepEqual(left, ['k2']);
  }));
