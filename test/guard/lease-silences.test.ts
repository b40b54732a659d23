import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, leaseMs } from './support/bench.ts';

const over = { kind: 'over', throughEpoch: 1, why: 'beijing holds epoch 2' } as const;

describe('silences', () => {
  const silences = [
    { name: 'a paused process', how: (bench: Bench) => bench.pause(leaseMs * 0.6) },
    {
      name: 'a machine that slept, by its wall clock alone',
      how: (bench: Bench) => {
        bench.sleptMs += leaseMs * 0.6;
        return bench.pause(leaseMs * 0.6);
      },
    },
    {
      name: 'a wall clock set forward',
      how: (bench: Bench) => {
        bench.wallJumpMs += 3_600_000;
        return bench.pause(50);
      },
    },
  ];
  for (const { name, how } of silences) {
    test(`${name} drops the lease: it closes and asks anew`, () => {
      const bench = how(new Bench().opened());
      bench.tell({ kind: 'tick' });
      assert.deepEqual(bench.kinds(), ['role', 'ask', 'close']);
      assert.match(bench.state.why, /did not run for/);
      bench.grant();
      assert.equal(bench.has('open'), false, 'not before the close is read back');
      bench.done('close').done('open');
      assert.equal(bench.seen, 'open');
    });
  }

  test('a wall clock set back changes nothing', () => {
    const bench = new Bench().opened();
    bench.wallJumpMs -= 3_600_000;
    bench.serve(leaseMs * 2);
    assert.equal(bench.has('close'), false);
    assert.equal(bench.seen, 'open');
  });

  test('an answer to a question asked before the silence does not count', () => {
    const bench = new Bench()
      .opened()
      .pass(250)
      .pause(leaseMs * 0.6);
    const { askId } = bench.take('ask');
    bench.tell({ kind: 'word', askId, word: { kind: 'granted', epoch: 1, ttlMs: leaseMs * 10 } });
    bench.done('close').pass(50);
    assert.equal(bench.state.lease, null);
    assert.equal(bench.has('open'), false);
  });

  test('after a long silence the close gets its time before the server is stopped', () => {
    const bench = new Bench().opened().pause(leaseMs * 10);
    bench.tell({ kind: 'tick' });
    assert.equal(bench.has('close'), true);
    bench.isolate(200);
    assert.equal(bench.has('stop'), false);
    bench.isolate(50);
    assert.equal(bench.take('stop').cleanMs, 0);
  });
});

describe('calls that come late', () => {
  test('an opening that ran out of time and ends after the close is closed again', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close').grant();
    const late = bench.fail('open', false);
    bench.pass(250).done('open').say(over).done('close');
    assert.equal(bench.seen, 'open', 'the late opening may still happen');
    bench.tell({ kind: 'call-settled', callId: late });
    bench.done('close');
    assert.equal(bench.seen, 'closed');
  });

  test('an opening that never ends is ended with the server', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close').grant();
    bench.isolate(leaseMs * 0.75);
    bench.done('close').isolate(150);
    bench.done('stop');
    assert.equal(bench.seen, 'stopped');
  });

  test('an opening overtaken by a refusal counts as one that may still happen', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close').grant().pass(250).say(over);
    bench.done('close');
    assert.equal(bench.seen, 'open');
    bench.done('open').done('close');
    assert.equal(bench.seen, 'closed');
  });
});

describe('orders', () => {
  test('an ordered close is confirmed only after a close that was begun since, and stands for good', () => {
    const bench = new Bench().opened().pass(250).say(over).done('close');
    bench.tell({ kind: 'close-ordered', throughEpoch: 5, stop: false });
    assert.notEqual(bench.state.order, null);
    assert.equal(bench.open.findLast((action) => action.kind === 'save')?.closedThrough, 5);
    bench.done('close');
    assert.equal(bench.state.order, null);
    assert.equal(bench.state.closedThrough, 5);
  });

  test('with stop the server is closed first, then ended cleanly', () => {
    const bench = new Bench().opened();
    bench.tell({ kind: 'close-ordered', throughEpoch: 1, stop: true });
    assert.equal(bench.has('stop'), false);
    bench.done('close');
    assert.notEqual(bench.state.order, null);
    assert.equal(bench.take('stop').cleanMs >= 5000, true);
  });

  test('a close that fails does not keep an ordered stop from happening', () => {
    const bench = new Bench().opened();
    bench.tell({ kind: 'close-ordered', throughEpoch: 1, stop: true });
    bench.fail('close');
    bench.pass(100).done('stop');
    assert.deepEqual([bench.seen, bench.state.order], ['stopped', null]);
  });

  test('a standby that is ordered to close has its role read anew', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('standby');
    bench.tell({ kind: 'close-ordered', throughEpoch: 1, stop: false });
    assert.notEqual(bench.state.order, null);
    bench.role('primary');
    assert.notEqual(bench.state.order, null, 'it was promoted since: it must be closed');
    bench.done('close');
    assert.equal(bench.state.order, null);
  });

  test('nothing opens while an ordered close is under way, even under a newer epoch', () => {
    const bench = new Bench().opened().pass(250);
    bench.tell({ kind: 'close-ordered', throughEpoch: 1, stop: false });
    bench.say({ kind: 'named', epoch: 2 }).grant();
    assert.equal(bench.has('open'), false);
    bench.done('close').pass(50).done('open');
    assert.equal(bench.seen, 'open');
  });

  test('an ordered opening asks at once, even as a standby, and opens as soon as the role is primary', () => {
    const bench = new Bench({ epoch: 1, closedThrough: 1 });
    bench.tell({ kind: 'tick' });
    bench.role('standby');
    bench.tell({ kind: 'open-ordered', epoch: 2 });
    assert.deepEqual([bench.has('ask'), bench.has('role')], [true, true]);
    assert.equal(bench.open.find((action) => action.kind === 'ask')?.all, false);
    bench.grant().role('standby').pass(50).role('primary');
    assert.equal(bench.state.opening?.epoch, 2);
    bench.done('open');
    assert.deepEqual([bench.state.opening, bench.seen], [null, 'open']);
  });

  test('an ordered opening that is refused is given up', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('standby');
    bench.tell({ kind: 'open-ordered', epoch: 2 });
    bench.say({ kind: 'over', throughEpoch: 3, why: 'beijing holds epoch 3' });
    assert.equal(bench.state.opening, null);
  });
});
