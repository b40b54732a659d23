import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LockFile } from '../../activities/backup/repository/lock-file.ts';
import { judgeLock, type LockWitness } from '../../activities/backup/repository/lock-verdict.ts';

const minute = 60_000;
const nowMs = Date.parse('2026-03-04T12:00:00Z');
const agoMinutes = (minutes: number): string => new Date(nowMs - minutes * minute).toISOString();

interface Case {
  name: string;
  lock: Partial<LockFile>;
  seen?: Partial<LockWitness>;
  want: 'held' | 'old' | 'stale';
}

const cases: Case[] = [
  { name: 'a fresh lock of another host is held', lock: { time: agoMinutes(1) }, want: 'held' },
  { name: 'one that was missed for 29 minutes is held', lock: { time: agoMinutes(29) }, want: 'held' },
  {
    name: 'one of 31 minutes ago is only old: our clock may have jumped',
    lock: { time: agoMinutes(31) },
    want: 'old',
  },
  {
    name: 'an old one that was seen unchanged for 5 minutes is still only old',
    lock: { time: agoMinutes(90) },
    seen: { unchangedForMs: 5 * minute },
    want: 'old',
  },
  {
    name: 'an old one that nobody refreshed for 7 minutes is stale',
    lock: { time: agoMinutes(90) },
    seen: { unchangedForMs: 7 * minute },
    want: 'stale',
  },
  { name: 'one from the future is held', lock: { time: agoMinutes(-600) }, want: 'held' },
  {
    name: 'one from the future that nobody refreshed for 31 minutes is stale',
    lock: { time: agoMinutes(-600) },
    seen: { unchangedForMs: 31 * minute },
    want: 'stale',
  },
  { name: 'one of a process of this host that runs is held', lock: { hostname: 'here', pid: 1 }, want: 'held' },
  { name: 'one of a process of this host that is gone is stale', lock: { hostname: 'here', pid: 99 }, want: 'stale' },
  { name: 'that a process of another host is gone, nobody here knows', lock: { pid: 99 }, want: 'held' },
  {
    name: 'one of this very process is held',
    lock: { hostname: 'here', pid: 7, time: agoMinutes(4) },
    want: 'held',
  },
  {
    name: 'one of this process id from before this process began is stale',
    lock: { hostname: 'here', pid: 7, time: agoMinutes(20) },
    want: 'stale',
  },
];

for (const { name, lock, seen, want } of cases) {
  test(`of locks, ${name}`, () => {
    const full: LockFile = {
      ...{ time: agoMinutes(1), exclusive: true, hostname: 'elsewhere', username: 'root', pid: 1 },
      ...lock,
    };
    const witness: LockWitness = {
      hostname: 'here',
      wallMs: nowMs,
      unchangedForMs: 0,
      isAlive: (pid) => pid === 1,
      ownPid: 7,
      startedMs: nowMs - 10 * minute,
      ...seen,
    };
    assert.equal(judgeLock(full, witness).kind, want);
  });
}
