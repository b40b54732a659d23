import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type ChannelActivity,
  createPeerHealth,
  hedgeAfterMs,
  isSilent,
  type LinkActivity,
  RemoteDriveHealth,
} from '../../../storage-node/rpc/peer-health.ts';

/** A clock that stands still until it is set. */
function standing(): { monotonicMs: () => number; at: number } {
  const clock = { at: 1_000, monotonicMs: () => clock.at };
  return clock;
}

describe('a connection', () => {
  const cases: { name: string; link: LinkActivity; silent: boolean }[] = [
    { name: 'may be silent while nothing is asked', link: link(false, 0, 0), silent: false },
    { name: 'may be silent for a little after something was asked', link: link(true, 700, 0), silent: false },
    { name: 'is silent when something was asked long ago', link: link(true, 500, 0), silent: true },
    { name: 'is not silent when it speaks of something else meanwhile', link: link(true, 100, 900), silent: false },
    { name: 'is silent when it stopped speaking in between', link: link(true, 100, 500), silent: true },
  ];
  for (const { name, link: activity, silent } of cases) {
    test(name, () => assert.equal(isSilent(activity, 1_000, 400), silent));
  }
  function link(waiting: boolean, waitingSinceMs: number, lastByteMs: number): LinkActivity {
    return { waiting, waitingSinceMs, lastByteMs };
  }
});

describe('a peer', () => {
  const channel = (downReason: string | undefined, silent: boolean): ChannelActivity => ({
    downReason,
    isSilent: () => silent,
  });
  const well = channel(undefined, false);
  const cases = [
    { name: 'is well while nothing is wrong', calls: well, bulk: well, suspect: false },
    { name: 'is suspect when it is cut off', calls: channel('reset', false), bulk: well, suspect: true },
    {
      name: 'is suspect when one of its channels is silent',
      calls: well,
      bulk: channel(undefined, true),
      suspect: true,
    },
  ];
  for (const { name, calls, bulk, suspect } of cases) {
    test(name, () => {
      const health = createPeerHealth({ clock: standing(), calls, bulk, silentMs: 400 });
      assert.equal(health.suspect, suspect);
      assert.equal(health.reason, calls.downReason);
    });
  }
});

describe('a drive of a peer', () => {
  const well = { suspect: false, reason: undefined };

  test('is suspect when its node is', () => {
    assert.equal(new RemoteDriveHealth({ suspect: true, reason: 'cut' }, standing()).suspect, true);
  });

  test('is suspect when it leaves reads unanswered though its node speaks, and well with the next answer', () => {
    const clock = standing();
    const health = new RemoteDriveHealth(well, clock, 400);
    const [first, second] = [health.readStarted(), health.readStarted()];
    clock.at += 300;
    health.readEnded(first, 'answered');
    clock.at += 300;
    assert.equal(health.suspect, false, 'it answered one 300 ms ago');
    clock.at += 200;
    assert.equal(health.suspect, true);
    health.readEnded(second, 'answered');
    assert.equal(health.suspect, false);
    clock.at += 5_000;
    assert.equal(health.suspect, false, 'nothing is asked');
    health.readStarted();
    assert.equal(health.suspect, false, 'it was asked only now');
  });

  test('is suspect for a second after it said that it cannot serve, or until it serves', () => {
    const clock = standing();
    const health = new RemoteDriveHealth(well, clock);
    health.unavailable();
    assert.equal(health.suspect, true);
    clock.at += 1_001;
    assert.equal(health.suspect, false);
    health.unavailable();
    health.readEnded(health.readStarted(), 'answered');
    assert.equal(health.suspect, false);
  });

  test('its answer time follows its answers, slowly', () => {
    const clock = standing();
    const health = new RemoteDriveHealth(well, clock);
    const read = (tookMs: number, how: 'answered' | 'gave-up' | 'failed'): void => {
      const started = health.readStarted();
      clock.at += tookMs;
      health.readEnded(started, how);
    };
    for (let count = 0; count < 100; count++) read(10, 'answered');
    assert.ok(Math.abs(health.readLatencyMs - 10) < 0.1);
    read(1, 'failed');
    read(1, 'gave-up');
    assert.ok(Math.abs(health.readLatencyMs - 10) < 0.1, 'who fails or is not waited for tells nothing');
    read(110, 'gave-up');
    assert.ok(Math.abs(health.readLatencyMs - 20) < 0.2, 'but it takes at least so long as it was waited for');
  });

  test('reads go elsewhere too after three times the usual time, within bounds', () => {
    assert.deepEqual([0.1, 2, 10, 500].map(hedgeAfterMs), [5, 6, 30, 100]);
  });
});
