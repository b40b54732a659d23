import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, leaseMs } from './support/bench.ts';

const over = { kind: 'over', throughEpoch: 1, why: 'beijing holds epoch 2' } as const;

describe('opening', () => {
  test('a guard that starts closes a primary at once, and opens it when it is granted', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    assert.deepEqual(bench.kinds(), ['role']);
    bench.role('primary');
    assert.deepEqual(bench.kinds(), ['ask', 'close']);
    assert.equal(bench.seen, 'open', 'what is not read back counts as open');
    bench.done('close');
    assert.equal(bench.seen, 'closed');
    bench.grant().done('open');
    assert.equal(bench.seen, 'open');
  });

  test('a grant that comes before the first close is read back waits for it', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('primary').grant();
    assert.equal(bench.has('open'), false);
    bench.done('close').done('open');
    assert.equal(bench.seen, 'open');
  });

  test('a standby asks for nothing and is told nothing', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('standby').pass(leaseMs * 3);
    assert.deepEqual(bench.kinds(), ['role']);
    assert.equal(bench.seen, 'standby');
  });

  test('a standby that is promoted without the guard being told is closed, and opens when granted', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('standby').pass(300).role('primary');
    bench.done('close').grant().done('open');
    assert.equal(bench.seen, 'open');
  });

  test('opening by itself it hears every granter; renewing it takes the first word', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close');
    assert.equal(bench.take('ask').all, true);
    const renewing = new Bench().opened().pass(250);
    assert.equal(renewing.take('ask').all, false);
  });

  test('the lease counts from the moment it was asked for', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close').pass(200).grant();
    assert.equal(bench.take('open').remainingMs, leaseMs - 200);
  });

  test('a granter that offers longer than the lease is not believed', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench
      .role('primary')
      .done('close')
      .say({ kind: 'granted', epoch: 1, ttlMs: leaseMs * 10 });
    assert.equal(bench.take('open').remainingMs, leaseMs);
  });

  test('while an opening is under way the database counts as open, and its role is not read', () => {
    const bench = new Bench();
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close').grant();
    assert.equal(bench.seen, 'open');
    bench.pass(300);
    assert.equal(bench.has('role'), false);
  });

  test('a renewal reaches the database with the new end', () => {
    const bench = new Bench().opened().pass(250).grant();
    const { remainingMs, epoch } = bench.take('renew');
    assert.deepEqual({ remainingMs, epoch }, { remainingMs: leaseMs, epoch: 1 });
  });

  test('a renewal that the database refuses is followed by an opening, not by another renewal', () => {
    const bench = new Bench().opened().pass(250).role('primary').grant();
    bench.fail('renew');
    bench.pass(100);
    assert.deepEqual(bench.kinds(), ['open']);
  });

  test('a server that went down and came back is opened again', () => {
    const bench = new Bench().opened().pass(250).role('down').pass(250).role('primary');
    bench.grant();
    assert.equal(bench.has('open'), true);
  });
});

describe('epochs', () => {
  test('a guard that knows no epoch learns it from the refusal and asks again at once', () => {
    const bench = new Bench(null);
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close');
    assert.equal(bench.take('ask').epoch, 0);
    bench.tell({ kind: 'word', askId: bench.state.ask?.id ?? 0, word: { kind: 'named', epoch: 4 } });
    assert.deepEqual(bench.take('save'), { kind: 'save', epoch: 4, closedThrough: 0, stoppedByGuard: false });
    assert.equal(bench.take('ask').epoch, 4);
  });

  test('a guard that is refused closes at once, long before its lease ends, and remembers', () => {
    const bench = new Bench().opened().pass(250).say(over);
    assert.deepEqual(bench.kinds(), ['role', 'close', 'save']);
    assert.equal(bench.take('save').closedThrough, 1);
    bench.done('close').pass(leaseMs * 3);
    assert.equal(bench.seen, 'closed');
    assert.equal(bench.has('stop'), false, 'refused is closed, not stopped');
  });

  test('after a refusal it asks which epoch is current, without asking for one that is over', () => {
    const bench = new Bench().opened().pass(250).say(over).done('close').pass(250);
    assert.equal(bench.take('ask').epoch, 0);
  });

  test('a closed site opens again when a newer epoch names it', () => {
    const bench = new Bench().opened().pass(250).say(over).done('close').pass(250);
    bench.say({ kind: 'named', epoch: 3 }).grant().done('open');
    assert.deepEqual([bench.seen, bench.state.epoch], ['open', 3]);
  });

  test('a grant of an epoch that was closed by order opens nothing', () => {
    const bench = new Bench({ epoch: 1, closedThrough: 1 });
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close');
    bench.say({ kind: 'granted', epoch: 1, ttlMs: leaseMs });
    bench.pass(100);
    assert.equal(bench.has('open'), false);
  });

  test('being named the holder of an epoch that was closed by order changes nothing', () => {
    const bench = new Bench({ epoch: 1, closedThrough: 3 });
    bench.tell({ kind: 'tick' });
    bench.role('primary').done('close').say({ kind: 'named', epoch: 3 });
    assert.equal(bench.state.epoch, 1);
    assert.equal(bench.pass(250).take('ask').epoch, 0);
  });
});

describe('cut off', () => {
  test('one granter that answers late now and then closes nothing', () => {
    const bench = new Bench().opened().pass(250).cutOff().pass(150).grant().done('renew');
    bench.serve(leaseMs * 2);
    assert.equal(bench.has('close'), false);
    assert.equal(bench.seen, 'open');
  });

  test('it closes before the lease ends and stops the server when the lease has ended', () => {
    const bench = new Bench().opened().isolate(leaseMs * 0.75);
    assert.equal(bench.has('close'), true);
    bench.done('close').isolate(200);
    assert.deepEqual([bench.seen, bench.has('stop')], ['closed', false]);
    bench.isolate(100);
    assert.equal(bench.take('stop').cleanMs > 0, true, 'a closed server may end cleanly');
  });

  test('a close that is not read back in time gives way to stopping at once, before the lease ends', () => {
    const bench = new Bench().opened().isolate(leaseMs * 0.9);
    assert.equal(bench.take('stop').cleanMs, 0);
  });

  test('a close that fails is tried again until then', () => {
    const bench = new Bench().opened().isolate(leaseMs * 0.75);
    bench.fail('close');
    bench.isolate(50);
    assert.equal(bench.has('close'), true);
  });

  test('a server that it stopped it starts again when granted under the same epoch, also in its next life', () => {
    for (const nextLife of [false, true]) {
      const stopped = new Bench()
        .opened()
        .isolate(leaseMs * 0.75)
        .done('close')
        .isolate(300)
        .done('stop');
      const saved = stopped.open.filter((action) => action.kind === 'save').at(-1);
      const bench = nextLife ? new Bench(saved) : stopped;
      if (nextLife) bench.tell({ kind: 'tick' });
      bench.role('stopped').pass(250).grant().done('start').role('primary').done('open');
      assert.deepEqual([bench.seen, bench.state.epoch, bench.state.stoppedByGuard], ['open', 1, false]);
    }
  });

  test('a server that somebody else stopped it does not start', () => {
    const bench = new Bench()
      .opened()
      .pass(250)
      .role('stopped')
      .pass(leaseMs * 2);
    assert.equal(bench.has('start'), false);
    assert.equal(bench.seen, 'stopped');
  });

  test('the lease is renewed while the server is started', () => {
    const bench = new Bench({ epoch: 1, stoppedByGuard: true });
    bench.tell({ kind: 'tick' });
    bench.role('stopped').grant().pass(300);
    assert.equal(bench.has('start'), true);
    assert.equal(bench.has('ask'), true);
  });
});
