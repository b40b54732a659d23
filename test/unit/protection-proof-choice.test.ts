/** Which recovery point is taken, what it is compared with, and which one can be relied on. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RecoveryPoint, RestoreOrder, RestoreProof } from '../../workflows/engine/protection.ts';
import {
  choosePoint,
  isFromFuture,
  leadingTo,
  lastKnownGood,
  pointBefore,
  rankOf,
} from '../../workflows/engine/recovery-choice.ts';

function at(day: number, more: Partial<RecoveryPoint> = {}): RecoveryPoint {
  return {
    ...{ id: `vault/${day}`, service: 'shop', resource: 'orders', kind: 'postgres', site: 'hangzhou', vault: 'vault' },
    ...{ snapshotId: String(day), status: 'complete', startedAtMs: day, takenAtMs: day, endedAtMs: day },
    ...{ sizeBytes: 1, addedBytes: 1, files: 1, facts: {}, problems: [], problemCount: 0 },
    ...more,
  };
}

function proof(day: number, verdict: RestoreProof['verdict'], endedAtMs = 100 + day): RestoreProof {
  const figures = {
    restoredBytes: null,
    layDownSeconds: null,
    walBytes: null,
    replaySeconds: null,
    verifySeconds: null,
  };
  return {
    ...{ id: `run-${day}-${endedAtMs}`, pointId: `vault/${day}`, service: 'shop', resource: 'orders', verdict },
    ...{ startedAtMs: 0, endedAtMs, restoredToMs: null, restoreSeconds: null, figures, findings: [], failure: null },
    startedBy: 'test',
  };
}

const partial: Partial<RecoveryPoint> = { status: 'partial' };
const iso = (atMs: number): string => new Date(atMs).toISOString();

describe('a point is chosen:', () => {
  const points = [at(2), at(5, partial), at(4), at(1)];
  const idOf = (choice: Parameters<typeof choosePoint>[1]): string => {
    const chosen = choosePoint(points, choice);
    return chosen.kind === 'chosen' ? chosen.point.id : chosen.why;
  };

  test('the newest complete one', () => assert.equal(idOf({ kind: 'newest' }), 'vault/4'));
  test('one by its id, be it partial', () => assert.equal(idOf({ kind: 'id', id: 'vault/5' }), 'vault/5'));
  test('none that is not there', () => {
    assert.equal(idOf({ kind: 'id', id: 'vault/9' }), 'there is no recovery point vault/9');
    assert.deepEqual(choosePoint([at(5, partial)], { kind: 'newest' }), {
      kind: 'none',
      why: 'there is no complete recovery point',
    });
  });

  test('by chance any complete one, the same for the same seed whatever their order', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const choice = { kind: 'random', seed: `run-${seed}` } as const;
      const [one, other] = [choosePoint(points, choice), choosePoint(points.toReversed(), choice)];
      assert.deepEqual(one, other);
      if (one.kind === 'chosen') seen.add(one.point.id);
    }
    assert.deepEqual([...seen].toSorted(), ['vault/1', 'vault/2', 'vault/4']);
  });

  test('not one that a wrong clock has dated into the future, unless it is named or there is no other', () => {
    const hour = 3_600_000;
    const [past, soon, future] = [at(1), at(hour + 1), at(9 * hour)];
    const newestOf = (of: RecoveryPoint[], nowMs: number): string | null => {
      const chosen = choosePoint(of, { kind: 'newest' }, [], nowMs);
      return chosen.kind === 'chosen' ? chosen.point.id : null;
    };
    assert.equal(newestOf([past, soon, future], hour), soon.id, 'clocks differ a little');
    assert.equal(newestOf([past, future], hour), past.id);
    assert.equal(newestOf([{ ...past, ...partial }, future], hour), future.id);
    assert.equal(newestOf([past, future], 9 * hour), future.id, 'in its own time it is the newest');
    const named = choosePoint([past, future], { kind: 'id', id: future.id }, [], hour);
    assert.equal(named.kind === 'chosen' && named.point.id, future.id);
    assert.deepEqual([isFromFuture(soon, hour), isFromFuture(future, hour)], [false, true]);
  });

  test('with what it is to be compared with', () => {
    const chosen = choosePoint(points, { kind: 'newest' });
    assert.equal(chosen.kind === 'chosen' && chosen.before?.id, 'vault/2');
  });
});

describe('a restore to a target begins with', () => {
  const lsn = (endLsn: string): Partial<RecoveryPoint> => ({ facts: { endLsn } });
  const points = [at(1, lsn('0/F0')), at(2, lsn('0/200')), at(3, { ...partial, ...lsn('0/300') }), at(4, lsn('1/0'))];
  const targets: { name: string; target: RestoreOrder['target']; want: string }[] = [
    { name: 'the newest point before a time', target: { kind: 'time', atMs: at(3).takenAtMs }, want: 'vault/2' },
    { name: 'a point of the very time', target: { kind: 'time', atMs: at(2).takenAtMs }, want: 'vault/2' },
    { name: 'the newest point before a position', target: { kind: 'lsn', lsn: '0/FFFFFFFF' }, want: 'vault/2' },
    { name: 'the newest one where the latest is wanted', target: { kind: 'latest' }, want: 'vault/4' },
    { name: 'the newest one where the point itself is wanted', target: { kind: 'point' }, want: 'vault/4' },
    { name: 'the newest one where nobody knows', target: { kind: 'name', name: 'before it' }, want: 'vault/4' },
    {
      name: 'none where all of them are younger',
      target: { kind: 'time', atMs: at(1).takenAtMs - 1 },
      want: `every recovery point was taken after ${iso(at(1).takenAtMs - 1)}: the oldest is of ${iso(at(1).takenAtMs)}`,
    },
  ];
  for (const { name, target, want } of targets)
    test(name, () => {
      const leading = leadingTo(points, target);
      const chosen = leading.kind === 'none' ? leading : choosePoint(leading.points, { kind: 'newest' });
      assert.equal(chosen.kind === 'none' ? chosen.why : chosen.point.id, want);
    });
});

describe('a point is compared with', () => {
  const cases: { name: string; points: RecoveryPoint[]; proofs?: RestoreProof[]; want: string | null }[] = [
    { name: 'the complete one before it', points: [at(1), at(2), at(3, partial)], want: 'vault/2' },
    { name: 'nothing, when it is the first', points: [at(5)], want: null },
    { name: 'none that came after it', points: [at(5)], want: null },
    { name: 'none of another vault', points: [at(2, { vault: 'other' })], want: null },
    {
      name: 'the last that was proven, not the one that raised the alarm',
      points: [at(1), at(2), at(3)],
      proofs: [proof(1, 'proven'), proof(2, 'proven'), proof(3, 'failed')],
      want: 'vault/2',
    },
    {
      name: 'the one before it where none was proven',
      points: [at(1), at(3)],
      proofs: [proof(3, 'failed')],
      want: 'vault/3',
    },
  ];
  for (const { name, points, proofs = [], want } of cases) {
    test(name, () => assert.equal(pointBefore([...points, at(4)], at(4), proofs)?.id ?? null, want));
  }
});

describe('the last known good point is', () => {
  const points = [at(1), at(2), at(3), at(4, partial)];
  const cases: { name: string; proofs: RestoreProof[]; want: string | null }[] = [
    { name: 'none without a proof, however many there are', proofs: [], want: null },
    {
      name: 'the newest that was proven, not the newest',
      proofs: [proof(1, 'proven'), proof(2, 'proven')],
      want: 'vault/2',
    },
    {
      name: 'the newest point, whenever it was proven',
      proofs: [proof(2, 'proven', 200), proof(1, 'proven', 300)],
      want: 'vault/2',
    },
    {
      name: 'none that has failed since',
      proofs: [proof(2, 'proven', 200), proof(2, 'failed', 300), proof(1, 'proven')],
      want: 'vault/1',
    },
    {
      name: 'one that was proven after it had failed',
      proofs: [proof(2, 'failed', 200), proof(2, 'proven', 300)],
      want: 'vault/2',
    },
    {
      name: 'none of which a proof failed at the same time',
      proofs: [proof(2, 'failed', 200), proof(2, 'proven', 200)],
      want: null,
    },
    { name: 'never a partial one', proofs: [proof(4, 'proven')], want: null },
    { name: 'never one that is gone', proofs: [proof(9, 'proven')], want: null },
  ];
  for (const { name, proofs, want } of cases) {
    test(name, () => {
      assert.equal(lastKnownGood(points, proofs)?.point.id ?? null, want);
      assert.equal(lastKnownGood(points, proofs.toReversed())?.point.id ?? null, want);
    });
  }

  test('always one whose last proof says proven', () => {
    const some = fc.array(fc.record({ day: fc.integer({ min: 1, max: 4 }), good: fc.boolean(), when: fc.nat(20) }));
    fc.assert(
      fc.property(some, (given) => {
        const proofs = given.map(({ day, good, when }) => proof(day, good ? 'proven' : 'failed', when));
        const good = lastKnownGood(points, proofs);
        const own = proofs.filter(({ pointId }) => pointId === good?.point.id);
        const last = Math.max(...own.map(({ endedAtMs }) => endedAtMs));
        return good === null || own.every(({ endedAtMs, verdict }) => endedAtMs < last || verdict === 'proven');
      }),
    );
  });
});

test('ranks lie between 0 and 1 and are spread evenly', () => {
  const ranks = Array.from({ length: 4_000 }, (_, i) => rankOf('seed', `name-${i}`));
  assert.ok(ranks.every((rank) => rank >= 0 && rank < 1));
  for (let tenth = 0; tenth < 10; tenth++) {
    const share = ranks.filter((rank) => Math.floor(rank * 10) === tenth).length;
    assert.ok(share > 300 && share < 500, `${share} in tenth ${tenth}`);
  }
});
