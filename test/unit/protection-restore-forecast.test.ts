/** How long a restore would take, as `muster backups list` and the figures say it: each proof moves it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forecastRestore } from '../../activities/protection/proof/restore-forecast.ts';
import type { RecoveryPoint, RestoreProof } from '../../workflows/engine/protection.ts';

const nowMs = Date.UTC(2026, 10, 21);
const point: RecoveryPoint = {
  ...{ id: 'vault/b', service: 'shop', resource: 'orders', kind: 'postgres', site: 'hangzhou', vault: 'vault' },
  ...{ snapshotId: 'b', status: 'complete', startedAtMs: 1, takenAtMs: 2, endedAtMs: 2, sizeBytes: 1e9, addedBytes: 1 },
  ...{ files: 1, problems: [], problemCount: 0, facts: { startLsn: '0/10000000', endLsn: '0/10000000' } },
};
const proof = (id: string, changes: Partial<RestoreProof> = {}, layDownSeconds = 10): RestoreProof => ({
  ...{ id, pointId: 'vault/a', service: 'shop', resource: 'orders', verdict: 'proven', failure: null },
  ...{ startedAtMs: 1, endedAtMs: nowMs - 1, restoredToMs: 1, restoreSeconds: layDownSeconds + 3, findings: [] },
  figures: { restoredBytes: 1e9, layDownSeconds, walBytes: 1 << 20, replaySeconds: 1, verifySeconds: 1 },
  ...{ startedBy: 'test', ...changes },
});
const at: Parameters<typeof forecastRestore>[2] = { vault: 'vault', walToLsn: null, nowMs };
const secondsOf = (points: RecoveryPoint[], proofs: RestoreProof[], given = at): number | null => {
  const told = forecastRestore(points, proofs, given);
  return told.confidence === 'unknown' ? null : told.seconds;
};

test('without a proof nothing is told, and each proof moves what is told', () => {
  assert.equal(secondsOf([point], []), null);
  assert.equal(secondsOf([point], [proof('1')]), 13);
  assert.equal(secondsOf([point], [proof('1'), proof('2', {}, 30)]), 18);
  assert.equal(forecastRestore([point], [proof('1')], at).confidence, 'estimated');
  const three = ['1', '2', '3'].map((id) => proof(id));
  assert.equal(forecastRestore([point], three, at).confidence, 'measured');
});

const unlearned: { name: string; points?: RecoveryPoint[]; proofs: RestoreProof[] }[] = [
  { name: 'a proof that failed', proofs: [proof('1', { verdict: 'failed' })] },
  { name: 'a proof of another vault', proofs: [proof('1', { pointId: 'vault-far/a' })] },
  { name: 'a partial point', points: [{ ...point, status: 'partial' }], proofs: [proof('1')] },
];
for (const { name, points = [point], proofs } of unlearned)
  test(`nothing is told from ${name}`, () => assert.equal(secondsOf(points, proofs), null));

test('archived WAL behind the newest point makes it longer', () => {
  const alone = secondsOf([point], [proof('1')]) ?? 0;
  const withWal = secondsOf([point], [proof('1')], { ...at, walToLsn: '0/50000000' }) ?? 0;
  assert.ok(withWal > alone + 10, `${withWal} after ${alone}`);
});

test('what has no log is told from its bytes alone', () => {
  const figures = { restoredBytes: 1e9, layDownSeconds: 10, walBytes: null, replaySeconds: null, verifySeconds: 1 };
  const files = { ...point, kind: 'directory', sizeBytes: 2e9, facts: {} };
  assert.equal(secondsOf([files], [proof('1', { figures, restoreSeconds: 10 })]), 20);
});
