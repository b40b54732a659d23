import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { parseCount } from '../../activities/drivers/bucket/config.ts';
import { readPages } from '../../activities/mover/compare/pages.ts';
import { parseTimetable } from '../../activities/mover/run/timetable.ts';
import type {
  ListedObject,
  ListedVersion,
  ListPage,
  ListRequest,
  ListVersionsRequest,
  ObjectClient,
  VersionPage,
} from '../../activities/objects/types.ts';
import { cutPages } from '../../activities/protection/copy/cut-pages.ts';
import { trimDoomed } from '../../activities/protection/copy/doomed-file.ts';
import { passRuleOf } from '../../activities/protection/copy/rule.ts';
import { copyOrderOf, copyWorkflowId } from '../../runbooks/copies-orders.ts';
import { copySchema } from '../../runbooks/copies-schema.ts';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import { compileProtection, scheduledOf } from '../../runbooks/protection.ts';
import { copyNow, countsText, exitOf, namedLines, progressText } from '../../cli/copies/words.ts';
import { copyBatch, describeCopy } from '../../workflows/engine/copy-words.ts';
import {
  beginCopy,
  copyEtaSeconds,
  mergeNamed,
  nextPiece,
  noCopyCounts,
  takePiece,
  totalsOf,
  verdictOf,
  type CopyBeat,
  type CopyCounts,
  type CopyMemory,
  type CopyMode,
  type CopyOrder,
  type CopyPieceEnd,
  type CopyVerdict,
  type CopyView,
} from '../../workflows/engine/copying.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText } from '../support/estates.ts';

function estateOf(copies: Record<string, unknown>): Estate {
  const file = { ...(parse(estateText({})) as object), copies };
  return parseEstate(stringify(file), 'muster.yaml', testCatalogue);
}

const [from, to] = ['s3://receipts?credentials=SRC', 'env:RECEIPTS_COPY'];

function orderOf(copy: Record<string, unknown> = {}, mode: CopyMode = 'do'): CopyOrder {
  return copyOrderOf(estateOf({ one: { from, to, ...copy } }), 'one', { mode, startedBy: 'Li' });
}

test('a copy of two addresses is one leg with safe defaults: nothing deleted, nothing foreign overwritten, ETA measured', () => {
  assert.deepEqual(orderOf(), {
    ...{ name: 'one', from, to, mode: 'do', measure: true, startedBy: 'Li' },
    legs: [
      {
        ...{ kind: 'copy', name: 'all', removeSource: false },
        filter: {
          ...{ prefix: '', include: [], exclude: [], minSizeBytes: null, maxSizeBytes: null },
          ...{ minAgeSeconds: null, maxAgeSeconds: null, tags: {} },
        },
      },
    ],
    rule: {
      ...{ versions: false, deleteShare: null, verifyShare: 0, compareBy: 'content', properties: false },
      ...{ overwrite: 'ours', storageClass: 'keep', bandwidth: null, requests: null, transfers: 32 },
    },
    shard: { bytes: 4 * 1024 ** 3, ms: 300_000, perRun: 50 },
  });
});

test('rules are legs in their order, each with its action and its conditions in bytes and seconds', () => {
  const rules = [
    { name: 'cold', tier: 'STANDARD_IA', minAge: '90d', minSize: '128K' },
    { name: 'gone', migrate: { keepSource: false }, prefix: 'logs/', tag: { class: 'cold' } },
    { name: 'both', migrate: {}, include: ['*.pdf'], maxAge: '2w' },
  ];
  const { legs } = orderOf({ rules });
  assert.deepEqual(
    legs.map((leg) => [
      leg.name,
      leg.kind,
      leg.kind === 'tier' ? leg.storageClass : leg.kind === 'copy' && leg.removeSource,
    ]),
    [
      ['cold', 'tier', 'STANDARD_IA'],
      ['gone', 'copy', true],
      ['both', 'copy', false],
    ],
  );
  const [cold, gone, both] = legs.map(({ filter }) => filter);
  assert.deepEqual([cold?.minAgeSeconds, cold?.minSizeBytes], [90 * 86_400, 128 * 1024]);
  assert.deepEqual([gone?.prefix, gone?.tags], ['logs/', { class: 'cold' }]);
  assert.deepEqual([both?.include, both?.maxAgeSeconds], [['*.pdf'], 14 * 86_400]);
});

test('a pair carries deletes under their guard and leaves conflicts to a person, unless it is said otherwise', () => {
  const { legs, rule } = orderOf({ direction: 'both' });
  assert.deepEqual(
    [legs[0]?.kind, legs[0]?.kind === 'pair' && legs[0].conflicts, rule.deleteShare],
    ['pair', 'keep', 0.1],
  );
  const other = orderOf({ direction: 'both', conflicts: 'newer', deleteGuard: 50 });
  assert.deepEqual([other.legs[0]?.kind === 'pair' && other.legs[0].conflicts, other.rule.deleteShare], ['newer', 0.5]);
  assert.throws(() => orderOf({ direction: 'both' }, 'compare'), { code: 'CONFIG_INVALID' });
});

const times: { every?: string; at?: string; expected: [string, number, number] | null }[] = [
  { expected: null },
  { at: '02:30', expected: ['daily', 2, 30] },
  { every: 'weekly', expected: ['weekly', 7, 0] },
  { every: 'weekly', at: '02:30', expected: ['weekly', 2, 30] },
];
for (const { expected, ...time } of times)
  test(`a copy with ${JSON.stringify(time)} ${expected === null ? 'has no schedule' : `is made ${expected[0]}`}`, () => {
    const plan = compileProtection(estateOf({ one: { from, to, site: 'beijing', ...time } }));
    const found = scheduledOf(plan).map(({ scheduleId, workflowId, workflowType, site, every, when }) => {
      assert.deepEqual(
        [scheduleId, workflowId, workflowType, site],
        ['copy/one', 'copy/one', 'copyObjects', 'beijing'],
      );
      return when.kind === 'calendar' ? [every, when.hour, when.minute] : [];
    });
    assert.deepEqual(found, expected === null ? [] : [expected]);
    assert.ok(plan.copies.every(({ order }) => order.mode === 'do' && order.startedBy === 'schedule'));
  });

test('a name that is no copy is refused with the one that was meant, and rules within the source cannot be compared', () => {
  const estate = estateOf({ receipts: { from, to }, cold: { from, rules: [{ name: 'a', tier: 'IA', minAge: '1d' }] } });
  const about = { mode: 'do', startedBy: 'Li' } as const;
  assert.throws(() => copyOrderOf(estate, 'receits', about), {
    code: 'CONFIG_INVALID',
    message: /did you mean "receipts"/,
  });
  assert.throws(() => copyOrderOf(estate, 'cold', { ...about, mode: 'compare' }), { code: 'CONFIG_INVALID' });
  assert.deepEqual(
    (['do', 'plan', 'compare'] as const).map((mode) => copyWorkflowId('a', mode)),
    [...['copy/a', 'copy-plan/a', 'copy-compare/a']],
  );
});

test('whatever timetable the estate takes, the mover reads', () => {
  const days = fc.constantFrom('', 'Mon-', 'Sunday-', 'fri-').map((day) => day.toLowerCase());
  const clock = fc.tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }));
  const rates = (units: string[]): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constant('off'),
      fc.tuple(fc.integer({ min: 1, max: 9_999 }), fc.constantFrom(...units)).map(([n, unit]) => `${n}${unit}`),
    );
  const tables = (units: string[]): fc.Arbitrary<string> => {
    const entry = fc.tuple(days, clock, rates(units));
    const texts = fc.array(
      entry.map(([day, [h, m], rate]) => `${day}${h}:${String(m).padStart(2, '0')},${rate}`),
      { minLength: 1, maxLength: 4 },
    );
    return fc.oneof(
      rates(units),
      texts.map((all) => all.join(' ')),
    );
  };
  const accepts = (key: 'bandwidth' | 'requests', text: string): boolean =>
    copySchema.safeParse({ from, to, [key]: text }).success;
  fc.assert(
    fc.property(tables(['', 'B', 'K', 'MiB', 'GB']), tables(['']), (bandwidth, requests) => {
      assert.ok(accepts('bandwidth', bandwidth) && accepts('requests', requests));
      const rule = { ...orderOf({ bandwidth, requests }) };
      assert.ok(passRuleOf(rule, rule.legs[0]!, 'copying').requests!.steps.length > 0);
    }),
    { numRuns: 30 },
  );
  for (const text of ['0', '0.0M', 'fast', '24:00,1M', '08:60,1M', '08:00,1M,2M', 'Noday-08:00,1M', ''])
    assert.equal(accepts('bandwidth', text), false, text);
  assert.equal(accepts('requests', '10M'), false);
  assert.ok(parseTimetable('0.5', parseCount).steps.length === 1 && accepts('requests', '0.5'));
});

function counts(some: Partial<CopyCounts>): CopyCounts {
  return { ...noCopyCounts(), ...some };
}
function endOf(kind: CopyPieceEnd['kind'], some: Partial<CopyCounts>, more: Partial<CopyPieceEnd> = {}): CopyPieceEnd {
  const cursor = kind === 'more' ? { ranges: [] } : null;
  return { kind, counts: counts(some), cursor, named: [], failure: null, elapsedMs: 1, rate: null, ...more };
}

/** Stages that an order goes through when every piece is complete. */
function stagesOf(order: CopyOrder): string[] {
  const seen: string[] = [];
  let memory = beginCopy(order, 0);
  for (let piece = nextPiece(order, memory); piece !== null; piece = nextPiece(order, memory)) {
    seen.push(`${order.legs[piece.leg]?.name} ${piece.stage}`);
    memory = takePiece(order, memory, endOf('complete', { copied: 1, deleted: 1 }));
  }
  return seen;
}

const rules = [
  { name: 'cold', tier: 'IA', minAge: '1d' },
  { name: 'gone', migrate: { keepSource: false }, minAge: '1d' },
  { name: 'both', migrate: {}, minAge: '1d' },
];
const walks: { name: string; order: CopyOrder; stages: string[] }[] = [
  { name: 'a plain copy', order: orderOf(), stages: ['all measuring', 'all copying'] },
  { name: 'a pair', order: orderOf({ direction: 'both' }), stages: ['all measuring', 'all copying'] },
  { name: 'one that is not measured', order: orderOf({ measure: false }), stages: ['all copying'] },
  { name: 'a dry run', order: orderOf({}, 'plan'), stages: ['all copying'] },
  {
    name: 'rules',
    order: orderOf({ rules }),
    stages: ['cold copying', 'gone measuring', 'gone copying', 'gone removing', 'both measuring', 'both copying'],
  },
  {
    name: 'a dry run of rules',
    order: orderOf({ rules }, 'plan'),
    stages: ['cold copying', 'gone copying', 'both copying'],
  },
];
for (const { name, order, stages } of walks)
  test(`${name} goes through: ${stages.join(', ')}`, () => assert.deepEqual(stagesOf(order), stages));

test('counts of pieces are those of the stage; measuring counts for nothing, a removal adds what it did', () => {
  const order = orderOf({ rules: rules.slice(1) });
  const after = (memory: CopyMemory, ...ends: CopyPieceEnd[]): CopyMemory =>
    ends.reduce((now, end) => takePiece(order, now, end), memory);
  const measured = after(
    beginCopy(order, 0),
    endOf('more', { onlySource: 2 }),
    endOf('complete', { onlySource: 7, different: 1, wantedBytes: 90 }),
  );
  assert.deepEqual(
    [measured.stage, measured.toDo, totalsOf(measured).onlySource],
    ['copying', { objects: 8, bytes: 90 }, 0],
  );
  const copied = after(measured, endOf('more', { copied: 3 }), endOf('complete', { copied: 8, failed: 1 }));
  const removed = after(copied, endOf('more', { deleted: 2 }), endOf('complete', { deleted: 5, kept: 1 }));
  const { copied: objects, deleted, kept, failed } = totalsOf(removed);
  assert.deepEqual([removed.leg, removed.stage, objects, deleted, kept, failed], [1, 'measuring', 8, 7, 1, 1]);
  assert.equal(removed.pieces, 6);
});

const verdicts: { mode?: CopyMode; some?: Partial<CopyCounts>; code?: string; verdict: string }[] = [
  { verdict: 'done' },
  { some: { copied: 5, gone: 1, notCarried: 1 }, verdict: 'done' },
  ...(['failed', 'kept', 'archived', 'changing'] as const).map((name) => ({ some: { [name]: 1 }, verdict: 'partial' })),
  { some: { failed: 1 }, mode: 'plan', verdict: 'done' },
  { some: { onlyTarget: 1 }, verdict: 'done' },
  { some: { onlyTarget: 1 }, mode: 'compare', verdict: 'partial' },
  { code: 'DELETE_GUARD', verdict: 'guarded' },
  { code: 'TARGET_FULL', verdict: 'stopped' },
];
for (const { mode = 'do', some = {}, code, verdict } of verdicts)
  test(`${mode} with ${JSON.stringify({ ...some, code })} is ${verdict}`, () => {
    const order = orderOf({ measure: false }, mode);
    const failure = code === undefined ? null : { code, message: 'why' };
    const memory = takePiece(
      order,
      beginCopy(order, 0),
      endOf(failure === null ? 'complete' : 'stopped', some, { failure }),
    );
    assert.equal(verdictOf(order, memory), verdict);
    assert.equal(nextPiece(order, memory), null);
    const result = {
      ...{ name: 'one', mode, verdict: verdictOf(order, memory), counts: totalsOf(memory), pieces: 1 },
      ...{ named: [], failure: failure && `${failure.code}: why`, startedAtMs: 0, endedAtMs: 1 },
    };
    const { findings, run } = copyBatch(result, { runId: 'r', startedBy: 'Li' });
    assert.equal(findings.length, verdict === 'done' ? 0 : 1);
    assert.equal(run.outcome, failure === null ? verdict : 'failed');
  });

test('the time left is that of objects or of bytes, whichever is longer; unknown without a measure or a rate', () => {
  const rate = { objectsPerSecond: 10, bytesPerSecond: 100 };
  const toDo = { objects: 100, bytes: 10_000 };
  assert.equal(copyEtaSeconds(null, noCopyCounts(), rate), null);
  assert.equal(copyEtaSeconds(toDo, noCopyCounts(), null), null);
  assert.equal(copyEtaSeconds(toDo, noCopyCounts(), { objectsPerSecond: 0, bytesPerSecond: 0 }), null);
  assert.equal(copyEtaSeconds(toDo, counts({ copied: 50, copiedBytes: 9_900 }), rate), 5);
  assert.equal(copyEtaSeconds(toDo, counts({ copied: 50, copiedBytes: 5_000 }), rate), 50);
  assert.equal(copyEtaSeconds(toDo, counts({ copied: 98, failed: 2 }), rate), 0);
  assert.equal(copyEtaSeconds(toDo, counts({ wanted: 120, copied: 100, copiedBytes: 10_000 }), rate), 2);
});

test('a hundred objects are named, each once, and what is known better later is said later', () => {
  const one = (key: string, why = ''): { key: string; what: string; why: string } => ({ key, what: 'failed', why });
  const first = Array.from({ length: 99 }, (_, i) => one(`k${i}`));
  const merged = mergeNamed(first, [one('k5', 'again'), one('x'), one('y')]);
  assert.equal(merged.length, 100);
  assert.deepEqual([merged[5], merged.at(-1)], [one('k5', 'again'), one('x')]);
});

test('the Temporal UI is told the phase, the figures, the time left and what was left out', () => {
  const order = orderOf();
  const view = {
    ...{ name: 'one', mode: 'do' as const, phase: 'copying' as const, leg: 'all', legs: 1, pieces: 3, startedBy: 'Li' },
    before: noCopyCounts(),
    ...{ counts: counts({ copied: 10, copiedBytes: 2_048, failed: 1 }), toDo: { objects: 20, bytes: 4_096 } },
    ...{ rate: { objectsPerSecond: 2, bytesPerSecond: 1_024 }, etaSeconds: 130, failure: null, startedAtMs: 0 },
    named: [{ key: 'odd', what: 'failed', why: 'x' }],
  };
  const text = describeCopy(order, view);
  assert.match(text, /\*\*copying\*\*, started by Li; s3:\/\/receipts\?credentials=SRC → env:RECEIPTS_COPY/);
  assert.match(text, /copied: 10 objects, 2\.0 KiB of 20, 4\.0 KiB/);
  assert.match(text, /left out: 1, the first: `odd` \(failed\)/);
  assert.match(text, /ETA: 2 min 10 s/);
  assert.match(describeCopy(order, { ...view, phase: 'paused' }), /muster copies resume one/);
});

const exits: { verdict: CopyVerdict; code: number }[] = [
  { verdict: 'done', code: 0 },
  { verdict: 'partial', code: 3 },
  { verdict: 'stopped', code: 1 },
  { verdict: 'guarded', code: 4 },
];
for (const { verdict, code } of exits)
  test(`a copy that is ${verdict} ends its command with ${code}`, () => assert.equal(exitOf({ verdict }), code));

test('the status adds what the activity told to what is done, and tells no time left while it is paused', () => {
  const view: CopyView = {
    ...{ name: 'one', mode: 'do', phase: 'copying', leg: 'b', legs: 2, pieces: 3, startedBy: 'Li', startedAtMs: 0 },
    ...{ before: counts({ copied: 5 }), counts: counts({ copied: 7 }), toDo: { objects: 20, bytes: 4_096 } },
    ...{ rate: null, etaSeconds: 400, failure: null, named: [] },
  };
  const rate = { objectsPerSecond: 2, bytesPerSecond: 1_024 };
  const beat: CopyBeat = {
    ...{ leg: 1, stage: 'copying', cursor: null, counts: counts({ copied: 10, copiedBytes: 2_048 }), named: [], rate },
    ...{ etaSeconds: 65, waits: null, atMs: 0 },
  };
  assert.equal(copyNow(null, beat), null);
  const now = copyNow(view, beat)!;
  assert.equal(
    progressText(now),
    'copying (b)  15 of 20 objects  2.0 KiB of 4.0 KiB  1.0 KiB/s, 2 objects/s  ETA 1:05',
  );
  assert.match(
    progressText(copyNow({ ...view, phase: 'paused' }, beat)!),
    /^paused \(b\) {2}7 of 20 objects {2}0 B of 4\.0 KiB$/,
  );
  assert.equal(
    countsText(counts({ copied: 1, copiedBytes: 9, same: 2, failed: 1 }), 'do'),
    '1 copied (9 B), 2 the same, 1 failed',
  );
  assert.deepEqual(namedLines([{ key: 'a\u001b', what: 'failed', why: 'x' }], 5), ['  failed "a\\u001b": x']);
});

/** A store that lists what it is given, in pages as large as asked for. */
function listing(objects: ListedObject[], onPage: () => void = () => undefined): ObjectClient {
  const list = ({ startAfter = '', maxKeys = 1_000 }: ListRequest = {}): Promise<ListPage> => {
    onPage();
    const rest = objects.filter(({ key }) => key > startAfter);
    const page = { objects: rest.slice(0, maxKeys), commonPrefixes: [] };
    return Promise.resolve(rest.length > maxKeys ? { ...page, continuation: 'more' } : page);
  };
  return { list, name: 'store' } as unknown as ObjectClient;
}

test('pages that are cut by bytes bring every key once, and ask the store no more often', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 12 }),
      async (sizes, bytes, pageKeys) => {
        const about = { etag: '', lastModifiedMs: 0, storageClass: '' };
        const objects = sizes.map((sizeBytes, i) => ({ key: String(i).padStart(3, '0'), sizeBytes, ...about }));
        let asked = 0;
        const client = cutPages(
          listing(objects, () => (asked += 1)),
          { bytes },
        );
        const pages = readPages({ side: { client, prefix: '' }, after: '', versions: false, pageKeys });
        const found: string[] = [];
        for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
          const sum = page.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
          assert.ok(page.length === 1 || sum <= bytes, `${sum} of ${bytes}`);
          found.push(...page.map(({ key }) => key));
        }
        assert.deepEqual(
          found,
          objects.map(({ key }) => key),
        );
        assert.ok(asked <= Math.max(1, Math.ceil(sizes.length / pageKeys)), `${asked} requests`);
      },
    ),
    { numRuns: 100 },
  );
});

function versionListing(versions: ListedVersion[], onPage: () => void): ObjectClient {
  const listVersions = ({ marker, maxKeys = 1_000 }: ListVersionsRequest = {}): Promise<VersionPage> => {
    onPage();
    const isLast = ({ key, versionId }: ListedVersion): boolean =>
      key === marker?.key && versionId === marker.versionId;
    const rest = marker === undefined ? versions : versions.slice(versions.findIndex(isLast) + 1);
    const page = { versions: rest.slice(0, maxKeys), commonPrefixes: [] };
    const last = page.versions.at(-1);
    if (last === undefined || rest.length <= maxKeys) return Promise.resolve(page);
    return Promise.resolve({ ...page, next: { key: last.key, versionId: last.versionId } });
  };
  return { listVersions, name: 'store' } as unknown as ObjectClient;
}

test('pages of versions that are cut by bytes bring every version once, a key whole, and hold no more than was allowed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 8 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 5 }),
      async (sizesOfKeys, bytes, pageKeys, keys) => {
        const about = { etag: '', lastModifiedMs: 0, storageClass: '' };
        const all = sizesOfKeys.flatMap((sizes, k) =>
          sizes.map((sizeBytes, v) => {
            const key = String(k).padStart(3, '0');
            return { key, sizeBytes, versionId: `v${v}`, latest: v === 0, deleteMarker: sizeBytes === 0, ...about };
          }),
        );
        const sumOf = (some: readonly ListedVersion[]): number => some.reduce((sum, one) => sum + one.sizeBytes, 0);
        let asked = 0;
        const store = versionListing(all, () => (asked += 1));
        const client = cutPages(store, { bytes, keys });
        const listed: string[] = [];
        for (let page = await client.listVersions({ maxKeys: pageKeys }); ;) {
          const { versions, next } = page;
          assert.ok(versions.length <= keys && (versions.length <= 1 || sumOf(versions) <= bytes));
          listed.push(...versions.map(({ key, versionId }) => `${key} ${versionId}`));
          if (next === undefined) break;
          page = await client.listVersions({ maxKeys: pageKeys, marker: next });
        }
        assert.deepEqual(
          listed,
          all.map(({ key, versionId }) => `${key} ${versionId}`),
        );
        assert.ok(asked <= Math.max(1, Math.ceil(all.length / pageKeys)), `${asked} requests`);
        const pages = readPages({ side: { client, prefix: '' }, after: '', versions: true, pageKeys });
        const found: string[][] = [];
        for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
          // The first was begun in pages before: what this one brought is the rest.
          const came = page.slice(1).flatMap(({ versions = [] }) => versions);
          assert.ok(came.length <= keys && (came.length <= 1 || sumOf(came) <= bytes));
          found.push(...page.map(({ key, versions = [] }) => [key, ...versions.map(({ versionId }) => versionId)]));
        }
        assert.deepEqual(
          found,
          sizesOfKeys.map((sizes, k) => [String(k).padStart(3, '0'), ...sizes.map((_, v) => `v${v}`).toReversed()]),
        );
      },
    ),
    { numRuns: 200 },
  );
});

test('what is gone over once more, and a line that a kill cut off, leave the list of deletes', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'muster-copies-'));
  try {
    assert.equal(await trimDoomed(directory, []), 0);
    const file = path.join(directory, 'doomed.jsonl');
    const line = (key: string): string => `${JSON.stringify({ key, etag: 'e', sizeBytes: 1 })}\n`;
    writeFileSync(file, `${['a', 'b', 'c', 'm', 'n', 'z'].map(line).join('')}{"key":"zz`);
    assert.equal(await trimDoomed(directory, [{ after: 'a', upTo: 'c' }, { after: 'm' }]), 2);
    assert.equal(readFileSync(file, 'utf8'), line('a') + line('m'));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
