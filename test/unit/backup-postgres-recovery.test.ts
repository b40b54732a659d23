/** What is decided, read and foretold about a recovery, without a server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { finding, verdictOf, type Finding } from '../../activities/backup/postgres/findings.ts';
import { readRecoveryLog, recoveryFailure } from '../../activities/backup/postgres/recovery-log.ts';
import { recoverySettings } from '../../activities/backup/postgres/recovery-settings.ts';
import {
  describeTarget,
  targetSettings,
  type RecoveryTarget,
} from '../../activities/backup/postgres/recovery-target.ts';
import { estimateRestore, type RestoreSample } from '../../activities/backup/postgres/restore-model.ts';
import { MusterError } from '../../workflows/engine/errors.ts';

const targets: [target: RecoveryTarget, settings: Record<string, string>, words: string][] = [
  [{ kind: 'latest', timeline: 'latest' }, {}, 'the latest state'],
  [{ kind: 'immediate', timeline: 3 }, { recovery_target: 'immediate' }, 'the end of the base backup on timeline 3'],
  [
    { kind: 'time', atMs: Date.UTC(2026, 10, 21, 13, 0, 0, 123), timeline: 'latest' },
    { recovery_target_time: '2026-11-21 13:00:00.123+00', recovery_target_inclusive: 'on' },
    '2026-11-21T13:00:00.123Z',
  ],
  [
    { kind: 'lsn', lsn: '0/3000148', isExclusive: true, timeline: 'latest' },
    { recovery_target_lsn: '0/3000148', recovery_target_inclusive: 'off' },
    '0/3000148',
  ],
  [{ kind: 'name', name: 'noon', timeline: 'latest' }, { recovery_target_name: 'noon' }, 'the restore point noon'],
];
for (const [target, settings, words] of targets) {
  test(`recovery to ${words} is told the server in its settings`, () => {
    assert.deepEqual(targetSettings(target, 2), { recovery_target_timeline: '2', ...settings });
    assert.equal(describeTarget(target), words);
  });
}

test('a position that is none is refused before anything is moved', () => {
  assert.throws(() => targetSettings({ kind: 'lsn', lsn: "0/1' or", timeline: 1 }, 1), /no position in WAL/);
});

const control = {
  max_connections: 400,
  max_worker_processes: 2,
  max_wal_senders: 12,
  max_prepared_transactions: 7,
  max_locks_per_transaction: 64,
  track_commit_timestamp: true,
  hasDataChecksums: true,
};
const settingsFor = (action: 'promote' | 'pause', extra: Record<string, string> = {}) =>
  recoverySettings({
    ...{ port: 1, socketDir: '/s', fetchCommand: 'fetch', timeline: 1, action, control, extra },
    target: { kind: 'latest', timeline: 'latest' },
  });

test('a recovered server archives nothing, follows nobody, subscribes to nothing and listens on the loopback only', () => {
  const { host, upstream, extra = {} } = settingsFor('promote');
  assert.equal(host, '127.0.0.1');
  assert.equal(upstream, null);
  const { archive_mode, archive_command, primary_conninfo, shared_preload_libraries, max_logical_replication_workers } =
    extra;
  assert.deepEqual(
    { archive_mode, archive_command, primary_conninfo, shared_preload_libraries, max_logical_replication_workers },
    {
      archive_mode: 'off',
      archive_command: '',
      primary_conninfo: '',
      shared_preload_libraries: '',
      max_logical_replication_workers: '0',
    },
  );
});

test('a recovered server falls short of none of the limits of the one that was saved', () => {
  const { maxConnections, extra = {} } = settingsFor('pause');
  assert.equal(maxConnections, 400);
  assert.equal(extra['max_worker_processes'], '8');
  assert.equal(extra['max_wal_senders'], '12');
  assert.equal(extra['max_prepared_transactions'], '7');
  assert.equal(extra['hot_standby'], 'on');
  assert.equal(settingsFor('promote').extra?.['hot_standby'], 'off');
  assert.equal(settingsFor('promote', { work_mem: '1GB' }).extra?.['work_mem'], '1GB');
});

const log = `2026-11-21 14:47:29.1 UTC [1] LOG:  starting point-in-time recovery to 2026-11-21 14:47:28.434+00
2026-11-21 14:47:29.2 UTC [1] LOG:  consistent recovery state reached at 0/2000120
2026-11-21 14:47:29.3 UTC [1] LOG:  recovery stopping before commit of transaction 854, time 2026-11-21 14:47:28.48222+00
2026-11-21 14:47:29.3 UTC [1] LOG:  redo done at 0/3009210 system usage: CPU: user: 0.00 s
2026-11-21 14:47:29.3 UTC [1] LOG:  last completed transaction was at log time 2026-11-21 14:47:28.381987+00
2026-11-21 14:47:29.4 UTC [1] LOG:  selected new timeline ID: 2
`;

test('the log of a recovery tells where it became consistent, where it stopped, and why', () => {
  assert.deepEqual(readRecoveryLog(log), {
    consistentLsn: '0/2000120',
    redoDoneLsn: '0/3009210',
    lastTransactionAtMs: Date.UTC(2026, 10, 21, 14, 47, 28, 381),
    stoppedWhy: 'recovery stopping before commit of transaction 854, time 2026-11-21 14:47:28.48222+00',
    newTimeline: 2,
    fatal: null,
    endOfWal: null,
  });
});

const failures: [said: string, code: string][] = [
  ['recovery ended before configured recovery target was reached', 'RECOVERY_TARGET_UNREACHABLE'],
  ['requested recovery stop point is before consistent recovery point', 'RECOVERY_TARGET_UNREACHABLE'],
  ["requested timeline 2 is not a child of this server's history", 'RECOVERY_TARGET_UNREACHABLE'],
  ['recovery target timeline 9 does not exist', 'RECOVERY_TARGET_UNREACHABLE'],
  ['WAL ends before end of online backup', 'WAL_GAP'],
  ['WAL ends before consistent recovery point', 'WAL_GAP'],
  ['could not locate required checkpoint record at 0/2000080', 'WAL_GAP'],
  ['could not map anonymous shared memory: Cannot allocate memory', 'RESTORE_FAILED'],
];
for (const [said, code] of failures) {
  test(`a server that dies saying "${said}" is ${code}`, () => {
    const failed = readRecoveryLog(`${log}2026-11-21 14:47:30 UTC [1] FATAL:  ${said}\n`);
    const failure = recoveryFailure(failed, 'recovery');
    assert.ok(failure instanceof MusterError);
    assert.equal(failure.code, code);
    assert.ok(failure.message.includes(said));
  });
}

const nowMs = Date.UTC(2026, 10, 21);
const day = 86_400_000;
const sample = (changes: Partial<RestoreSample> = {}): RestoreSample => ({
  finishedAtMs: nowMs - day,
  bytes: 10e9,
  layDownSeconds: 100,
  walBytes: 1e9,
  replaySeconds: 10,
  openSeconds: 2,
  ...changes,
});

test('a restore is told from the rates of recent proofs', () => {
  const forecast = estimateRestore({ bytes: 20e9, walBytes: 3e9 }, [sample(), sample(), sample()], nowMs);
  assert.deepEqual(forecast, {
    seconds: 232,
    layDownSeconds: 200,
    replaySeconds: 30,
    openSeconds: 2,
    confidence: 'measured',
    why: 'median of the last 3 proofs',
  });
});

const doubts: [
  what: string,
  samples: RestoreSample[],
  size: { bytes: number; walBytes: number },
  confidence: string,
][] = [
  ['nothing was proven', [], { bytes: 1, walBytes: 0 }, 'unknown'],
  ['a proof measured nothing', [sample({ bytes: 0 })], { bytes: 1, walBytes: 0 }, 'unknown'],
  ['there is one proof', [sample()], { bytes: 10e9, walBytes: 0 }, 'estimated'],
  [
    'proofs are old',
    [1, 2, 3].map((one) => sample({ finishedAtMs: nowMs - 100 * one * day })),
    { bytes: 10e9, walBytes: 0 },
    'estimated',
  ],
  ['the size is another', [sample(), sample(), sample()], { bytes: 100e9, walBytes: 0 }, 'estimated'],
  [
    'no proof replayed much',
    [1, 2, 3].map(() => sample({ walBytes: 1e6 })),
    { bytes: 10e9, walBytes: 9e9 },
    'estimated',
  ],
  ['all is as it was', [sample(), sample(), sample()], { bytes: 10e9, walBytes: 1e9 }, 'measured'],
];
for (const [what, samples, size, confidence] of doubts) {
  test(`the forecast is ${confidence} when ${what}`, () => {
    const forecast = estimateRestore(size, samples, nowMs);
    assert.equal(forecast.confidence, confidence);
    assert.ok(forecast.why.length > 0);
  });
}

test('a larger restore is never foretold to be shorter, and one odd proof among five changes nothing', () => {
  const sizes = fc.record({ bytes: fc.integer({ min: 1, max: 1e12 }), walBytes: fc.nat({ max: 1e12 }) });
  const usual = [1, 2, 3, 4].map((one) => sample({ finishedAtMs: nowMs - one * day }));
  fc.assert(
    fc.property(sizes, fc.nat({ max: 1e9 }), fc.integer({ min: 1, max: 100_000 }), (size, more, odd) => {
      const seconds = (bytes: number, walBytes: number, samples: RestoreSample[]): number => {
        const forecast = estimateRestore({ bytes, walBytes }, samples, nowMs);
        assert.ok(forecast.confidence !== 'unknown');
        return forecast.seconds;
      };
      const plain = seconds(size.bytes, size.walBytes, usual);
      assert.ok(seconds(size.bytes + more, size.walBytes, usual) >= plain);
      assert.ok(seconds(size.bytes, size.walBytes + more, usual) >= plain);
      const strange = sample({ layDownSeconds: odd, replaySeconds: odd, openSeconds: odd });
      assert.equal(seconds(size.bytes, size.walBytes, [strange, ...usual]), plain);
    }),
  );
});

const verdicts: [verdicts: Finding['verdict'][], whole: string][] = [
  [[], 'unknown'],
  [['noted'], 'unknown'],
  [['passed', 'noted'], 'passed'],
  [['passed', 'unknown'], 'unknown'],
  [['passed', 'unknown', 'failed'], 'failed'],
];
for (const [each, whole] of verdicts) {
  test(`findings that ${each.join(', ') || 'are none'} make a verification ${whole}`, () => {
    assert.equal(verdictOf(each.map((verdict) => finding('sql', 'x', verdict, { detail: '' }))), whole);
  });
}
