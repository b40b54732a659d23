/** When a restore test proves its point, what its failure is called, and what is no failure of the backup at all. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Faults, named } from '../../activities/protection/proof/finding.ts';
import { meaningOf } from '../../activities/protection/proof/failure.ts';
import { substituted } from '../../activities/protection/proof/program.ts';
import { factDifferences } from '../../activities/protection/proof/recorded.ts';
import { sampleOf } from '../../activities/protection/proof/restore-sample.ts';
import { Draw, isDrawn } from '../../activities/protection/proof/sample.ts';
import { verdictOf } from '../../activities/protection/proof/verdict.ts';
import { MusterError, type ErrorCode } from '../../workflows/engine/errors.ts';
import type { ProofFinding, RestoreProof } from '../../workflows/engine/protection.ts';

const found = (check: string, verdict: ProofFinding['verdict'] = 'passed'): ProofFinding => {
  return { check, subject: 'orders', verdict, detail: 'as it is' };
};

describe('a restore test', () => {
  const cases: { name: string; findings: ProofFinding[]; failure?: string; want: string | null }[] = [
    { name: 'proves with one look at the content', findings: [found('restore'), found('rows')], want: null },
    {
      name: 'does not prove with restoring alone',
      findings: [found('recorded'), found('restore'), found('connect'), found('change-rate'), found('note')],
      want: 'PROOF_FAILED: no check has looked at the content',
    },
    { name: 'does not prove with nothing', findings: [], want: 'PROOF_FAILED: no check has looked at the content' },
    {
      name: 'does not prove with one failed finding among good ones',
      findings: [found('rows'), found('sql', 'failed'), found('amcheck')],
      want: 'PROOF_FAILED: sql orders failed: as it is',
    },
    {
      name: 'does not prove what is unknown',
      findings: [found('rows'), found('canary', 'unknown')],
      want: 'PROOF_FAILED: canary orders is unknown: as it is',
    },
    {
      name: 'says what ended it early before anything else',
      findings: [found('rows', 'failed')],
      failure: 'WAL_GAP: a segment is missing',
      want: 'WAL_GAP: a segment is missing',
    },
  ];
  for (const { name, findings, failure = null, want } of cases) {
    test(name, () => {
      assert.deepEqual(verdictOf(findings, failure), { verdict: want === null ? 'proven' : 'failed', failure: want });
    });
  }

  test('never proves with a finding that did not pass', () => {
    const verdict = fc.constantFrom<ProofFinding['verdict'][]>('passed', 'failed', 'unknown');
    const check = fc.constantFrom('rows', 'objects', 'restore', 'http');
    const findings = fc.array(fc.tuple(check, verdict).map(([one, its]) => found(one, its)));
    fc.assert(
      fc.property(findings, (all) => {
        const isProven = verdictOf(all, null).verdict === 'proven';
        return !isProven || all.every((one) => one.verdict === 'passed');
      }),
    );
  });
});

describe('an error while restoring', () => {
  const codes: [ErrorCode, 'failed' | 'none'][] = [
    ['REPOSITORY_DAMAGED', 'failed'],
    ['REPOSITORY_KEY_WRONG', 'failed'],
    ['REPOSITORY_MISSING', 'failed'],
    ['SNAPSHOT_UNKNOWN', 'failed'],
    ['RESTORE_FAILED', 'failed'],
    ['WAL_GAP', 'failed'],
    ['WAL_CONFLICT', 'failed'],
    ['CHECKSUM_MISMATCH', 'failed'],
    ['RECOVERY_TARGET_UNREACHABLE', 'failed'],
    ['DATABASE_UNREACHABLE', 'failed'],
    ['OBJECT_STORE_UNREACHABLE', 'none'],
    ['CREDENTIALS_REFUSED', 'none'],
    ['SECRET_MISSING', 'none'],
    ['REPOSITORY_LOCKED', 'none'],
    ['TARGET_FULL', 'none'],
    ['CONFIG_INVALID', 'none'],
    ['INTERNAL', 'none'],
  ];
  for (const [code, kind] of codes) {
    test(`${code} says ${kind === 'failed' ? 'that the backup cannot be restored' : 'nothing about the backup'}`, () => {
      const meaning = meaningOf(new MusterError(code, 'because'));
      assert.deepEqual(meaning, kind === 'none' ? { kind } : { kind, code, message: 'because' });
    });
  }

  test('of the system says nothing, unless the disk could not read', () => {
    const error = (code: string): Error => Object.assign(new Error(code), { code });
    assert.deepEqual(meaningOf(error('ENOSPC')), { kind: 'none' });
    assert.deepEqual(meaningOf(error('EACCES')), { kind: 'none' });
    assert.equal(meaningOf(error('EIO')).kind, 'failed');
  });

  test('about the form of what was saved says that it is no backup', () => {
    assert.deepEqual(meaningOf(new SyntaxError('no JSON')), {
      kind: 'failed',
      code: 'RESTORE_FAILED',
      message: 'no JSON',
    });
  });
});

test('lists of faults name five and count the rest', () => {
  assert.equal(named(['a', 'b']), 'a; b');
  assert.equal(named(['a', 'b', 'c', 'd', 'e', 'f', 'g']), 'a; b; c; d; e; and 2 more');
  const faults = new Faults();
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) faults.add(name);
  assert.deepEqual([faults.count, faults.toString()], [6, 'a; b; c; d; e; and 1 more']);
});

test('words of the user are filled in with where the copy is, and nothing else in them is touched', () => {
  const where = { port: 8080, url: 'postgres://muster@socket/shop', directory: '/scratch/data' };
  assert.equal(substituted('http://127.0.0.1:{port}/{path}', where), 'http://127.0.0.1:8080/{path}');
  assert.equal(
    substituted('{directory} {url} {port}{port}', where),
    '/scratch/data postgres://muster@socket/shop 80808080',
  );
  assert.equal(substituted('$& {}', where), '$& {}');
});

test('a forecast learns from what was proven and measured, and from nothing else', () => {
  const figures = { restoredBytes: 1_000, layDownSeconds: 2, walBytes: 30, replaySeconds: 1, verifySeconds: 9 };
  const proof: RestoreProof = {
    ...{ id: 'run', pointId: 'vault/1', service: 'shop', resource: 'orders', verdict: 'proven', failure: null },
    ...{ startedAtMs: 1, endedAtMs: 2, restoredToMs: 1, restoreSeconds: 3.5, figures, findings: [], startedBy: 'test' },
  };
  const sample = { finishedAtMs: 2, bytes: 1_000, layDownSeconds: 2, walBytes: 30, replaySeconds: 1, openSeconds: 0.5 };
  assert.deepEqual(sampleOf(proof), sample);
  assert.equal(sampleOf({ ...proof, verdict: 'failed' }), null);
  assert.equal(sampleOf({ ...proof, restoreSeconds: null }), null);
  assert.equal(sampleOf({ ...proof, figures: { ...figures, walBytes: null } }), null);
});

test('only facts that both have are compared', () => {
  const recorded = { systemId: '1', timeline: 2, older: true };
  assert.deepEqual(factDifferences(recorded, { systemId: '1', timeline: 3 }), ['timeline is 3, recorded is 2']);
});

describe('a sample', () => {
  const names = Array.from({ length: 2_000 }, (_, i) => `objects/2026/${i}.json`);

  test('is about the share that was asked for, the same for a seed and another for another', () => {
    const drawn = (percent: number, seed: string): string[] => names.filter((name) => isDrawn(percent, seed, name));
    for (const percent of [1, 10, 50]) {
      const share = (drawn(percent, 'a').length / names.length) * 100;
      assert.ok(Math.abs(share - percent) < 2 + percent / 10, `${share} of ${percent}`);
    }
    assert.deepEqual(drawn(10, 'a'), drawn(10, 'a'));
    assert.notDeepEqual(drawn(10, 'a'), drawn(10, 'b'));
    assert.equal(drawn(100, 'a').length, names.length);
  });

  test('of a number of files does not depend on their order', () => {
    const draw = (order: string[]): string[] => {
      const from = new Draw<string>(20, 'seed');
      for (const name of order) from.offer(name, name);
      return from.items;
    };
    const drawn = draw(names);
    assert.equal(drawn.length, 20);
    assert.deepEqual(draw(names.toReversed()), drawn);
    assert.deepEqual(draw(names.slice(0, 3)).toSorted(), names.slice(0, 3).toSorted());
  });
});
