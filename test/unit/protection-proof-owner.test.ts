import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { isOwnerGone, ownPlace } from '../../activities/protection/proof/owner.ts';

let place: string;
let held: string;
/** As this process has written it. */
let mine: { machine: string; pid: number; startedAt: string };
/** Of a process that has ended. */
let endedPid: number;

before(async () => {
  place = mkdtempSync(path.join(tmpdir(), 'muster-owner-'));
  held = path.join(place, 'held');
  using _owning = await ownPlace(held);
  mine = JSON.parse(readFileSync(held, 'utf8')) as typeof mine;
  const child = spawn('true', { stdio: 'ignore' });
  await once(child, 'exit');
  endedPid = child.pid!;
});
after(() => rmSync(place, { recursive: true }));

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

const cases: { name: string; owner: () => unknown; silentMs: number; isGone: boolean }[] = [
  { name: 'a process that lives, though it shows nothing', owner: () => mine, silentMs: 48 * hourMs, isGone: false },
  { name: 'a process that has ended', owner: () => ({ ...mine, pid: endedPid }), silentMs: 0, isGone: true },
  {
    name: 'a process whose id somebody else has by now',
    ...{ owner: () => ({ ...mine, startedAt: '1' }), silentMs: 0, isGone: true },
  },
  {
    name: 'a process of another machine that shows that it lives',
    ...{ owner: () => ({ ...mine, machine: 'other', pid: endedPid }), silentMs: minuteMs, isGone: false },
  },
  {
    name: 'a process of another machine, or of one that was started anew, that is silent',
    ...{ owner: () => ({ ...mine, machine: 'other' }), silentMs: 2 * hourMs, isGone: true },
  },
  { name: 'nobody who says so, not long ago', owner: () => '', silentMs: 2 * hourMs, isGone: false },
  { name: 'nobody who says so, long ago', owner: () => '', silentMs: 25 * hourMs, isGone: true },
];
for (const { name, owner, silentMs, isGone } of cases) {
  test(`a place of ${name} is ${isGone ? 'left' : 'kept'}`, async () => {
    writeFileSync(held, JSON.stringify(owner()));
    const touched = new Date(Date.now() - silentMs);
    utimesSync(held, touched, touched);
    assert.equal(await isOwnerGone(place, held), isGone);
  });
}

test('a place that somebody else has just removed is nobody’s to remove', async () => {
  assert.equal(await isOwnerGone(path.join(place, 'gone'), path.join(place, 'gone', 'held')), false);
});
