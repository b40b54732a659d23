/** The course of a long copy: its stages, counts, verdicts, and what is told of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
import { orderOf } from '../support/copy-orders.ts';

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
