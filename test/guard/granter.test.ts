import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { openGranter, type Granter } from '../../activities/guard/granter-store.ts';
import {
  answerLease,
  granterState,
  nameHolder,
  startGranter,
  stopThrough,
  type GranterRecord,
} from '../../activities/guard/granter.ts';

const leaseMs = 1000;
const shop = { epoch: 2, holder: 'hangzhou', stoppedThrough: 0, leaseMs };

describe('granter', () => {
  const record = startGranter('shop', leaseMs, shop, 0);
  const cases = [
    { name: 'the holder of the current epoch is granted', site: 'hangzhou', epoch: 2, want: 'granted' },
    { name: 'another site is refused', site: 'beijing', epoch: 2, want: 'other-holder' },
    { name: 'the holder with an old epoch is refused', site: 'hangzhou', epoch: 1, want: 'stale-epoch' },
    { name: 'the holder with an epoch nobody named is refused', site: 'hangzhou', epoch: 3, want: 'stale-epoch' },
    { name: 'the question without an epoch is refused', site: 'hangzhou', epoch: 0, want: 'stale-epoch' },
    { name: 'a stopped epoch is refused', site: 'hangzhou', epoch: 2, stopped: 2, want: 'stopped' },
    { name: 'an epoch above the stopped one is granted', site: 'hangzhou', epoch: 2, stopped: 1, want: 'granted' },
    { name: 'its own site is refused', site: 'hangzhou', epoch: 2, own: 'hangzhou', want: 'own-site' },
    { name: 'a granter at another site grants', site: 'hangzhou', epoch: 2, own: 'beijing', want: 'granted' },
  ];
  for (const { name, site, epoch, stopped = 0, own = null, want } of cases) {
    test(name, () => {
      const { answer } = answerLease(stopThrough(record, stopped), { service: 'shop', site, epoch }, own, 5000);
      assert.equal(answer.kind === 'granted' ? 'granted' : answer.why, want);
      assert.equal(answer.epoch, 2);
    });
  }

  test('after a restart the end of the last grant counts as a whole lease from now, of the longer kind', () => {
    assert.equal(granterState(startGranter('shop', leaseMs, null, 70), 70).remainingMs, leaseMs);
    assert.equal(granterState(startGranter('shop', leaseMs, { ...shop, leaseMs: 9000 }, 70), 70).remainingMs, 9000);
    assert.equal(granterState(startGranter('shop', leaseMs, shop, 70), 70 + leaseMs).remainingMs, 0);
  });

  test('a grant lasts a lease from the moment of answering, a refusal prolongs nothing', () => {
    const ask = { service: 'shop', site: 'hangzhou', epoch: 2 };
    const granted = answerLease(record, ask, null, 5000).record;
    assert.equal(granterState(granted, 5400).remainingMs, 600);
    const refused = answerLease(granted, { ...ask, site: 'beijing' }, null, 5400).record;
    assert.equal(granterState(refused, 5400).remainingMs, 600);
  });

  const namings = [
    { name: 'a higher epoch is taken', epoch: 3, holder: 'beijing', want: [3, 'beijing'] },
    { name: 'the same epoch and holder again is fine', epoch: 2, holder: 'hangzhou', want: [2, 'hangzhou'] },
    { name: 'the same epoch with another holder is refused', epoch: 2, holder: 'beijing', want: null },
    { name: 'a lower epoch is refused', epoch: 1, holder: 'hangzhou', want: null },
    { name: 'an epoch that was stopped before it was named is refused', epoch: 3, stopped: 3, want: null },
  ];
  for (const { name, epoch, holder = 'beijing', stopped = 0, want } of namings) {
    test(name, () => {
      const named = nameHolder(stopThrough(record, stopped), { service: 'shop', epoch, holder });
      assert.deepEqual(named && [named.epoch, named.holder], want);
    });
  }

  test('whatever is asked, nobody is granted a stopped epoch, epochs never fall, and one epoch has one holder', () => {
    const site = fc.constantFrom('hangzhou', 'beijing');
    const epoch = fc.integer({ min: 0, max: 6 });
    const asks = fc.record({ kind: fc.constantFrom('ask', 'stop', 'name'), site, epoch });
    fc.assert(
      fc.property(fc.array(asks, { maxLength: 40 }), (steps) => {
        const holders = new Map<number, string>();
        let stopped = 0;
        let state: GranterRecord = startGranter('shop', leaseMs, null, 0);
        steps.forEach((step, nowMs) => {
          const before = state;
          if (step.kind === 'stop') {
            state = stopThrough(state, step.epoch);
            stopped = Math.max(stopped, step.epoch);
          } else if (step.kind === 'name') {
            state = nameHolder(state, { service: 'shop', epoch: step.epoch, holder: step.site }) ?? state;
          } else {
            const answered = answerLease(state, { service: 'shop', ...step }, null, nowMs);
            state = answered.record;
            if (answered.answer.kind === 'granted') {
              assert.ok(step.epoch > stopped);
              assert.equal(holders.get(step.epoch) ?? step.site, step.site);
              holders.set(step.epoch, step.site);
              assert.ok(granterState(state, nowMs).remainingMs >= leaseMs);
            }
          }
          assert.ok(state.epoch >= before.epoch);
        });
      }),
    );
  });
});

describe('granter on disk', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'muster-granter-'));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  let files = 0;
  const life = (stateFile: string, site: string | null = null): Granter =>
    openGranter({ stateFile, site, services: { shop: { leaseMs } }, nowMs: () => 0 });
  const fresh = (): string => join(dir, `granter-${++files}.json`);
  const ask = (granter: Granter, site: string, epoch: number): string => {
    const answer = granter.lease({ service: 'shop', site, epoch });
    return answer.kind === 'granted' ? 'granted' : answer.why;
  };

  test('what was promised holds in the next life', () => {
    const file = fresh();
    const first = life(file);
    first.putEpoch({ service: 'shop', epoch: 1, holder: 'hangzhou' });
    assert.equal(ask(life(file), 'hangzhou', 1), 'granted');
    first.stopGranting({ service: 'shop', throughEpoch: 1, by: 'run' });
    assert.equal(ask(life(file), 'hangzhou', 1), 'stopped');
    assert.throws(() => life(file).putEpoch({ service: 'shop', epoch: 1, holder: 'beijing' }), { code: 'EPOCH_STALE' });
  });

  test('stopping answers how long the last grant still runs', () => {
    const granter = life(fresh());
    const answer = granter.stopGranting({ service: 'shop', throughEpoch: 1, by: 'run' });
    assert.deepEqual(answer, { kind: 'stopped', throughEpoch: 1, remainingMs: leaseMs });
  });

  test('a service that the estate does not name is refused and changes nothing', () => {
    const granter = life(fresh());
    const lease = granter.lease({ service: 'other', site: 'hangzhou', epoch: 1 });
    assert.deepEqual(lease, { kind: 'refused', epoch: 0, holder: null, why: 'unknown-service' });
    const unknown = { code: 'SERVICE_UNKNOWN' };
    assert.throws(() => granter.stopGranting({ service: 'other', throughEpoch: 1, by: 'run' }), unknown);
    assert.throws(() => granter.putEpoch({ service: 'other', epoch: 1, holder: 'hangzhou' }), unknown);
  });

  test('promises about a service that left the estate are kept for the day it comes back', () => {
    const file = fresh();
    life(file).putEpoch({ service: 'shop', epoch: 7, holder: 'hangzhou' });
    const other = openGranter({ stateFile: file, site: null, services: { bank: { leaseMs } } });
    other.putEpoch({ service: 'bank', epoch: 1, holder: 'beijing' });
    assert.equal(ask(life(file), 'hangzhou', 7), 'granted');
  });

  test('a stop that cannot be written is not answered, and is in force all the same', () => {
    const file = fresh();
    const granter = life(file);
    granter.putEpoch({ service: 'shop', epoch: 1, holder: 'hangzhou' });
    mkdirSync(`${file}.new`);
    assert.throws(() => granter.stopGranting({ service: 'shop', throughEpoch: 1, by: 'run' }));
    assert.equal(ask(granter, 'hangzhou', 1), 'stopped');
  });

  test('a new holder that cannot be written is not granted anything', () => {
    const file = fresh();
    const granter = life(file);
    mkdirSync(`${file}.new`);
    assert.throws(() => granter.putEpoch({ service: 'shop', epoch: 1, holder: 'hangzhou' }));
    assert.equal(ask(granter, 'hangzhou', 1), 'other-holder');
  });

  test('a damaged state file keeps the granter from starting', () => {
    for (const text of ['', '{', '{"version":2}', '{"version":1,"services":{"shop":{"epoch":-1}}}']) {
      const file = fresh();
      writeFileSync(file, text);
      assert.throws(() => life(file), { code: 'CONFIG_INVALID' }, text);
    }
  });

  test('the state file is readable by its owner alone', () => {
    const file = fresh();
    life(file).putEpoch({ service: 'shop', epoch: 1, holder: 'hangzhou' });
    assert.equal(statSync(file).mode & 0o077, 0);
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')).services.shop, {
      epoch: 1,
      holder: 'hangzhou',
      stoppedThrough: 0,
      leaseMs,
    });
  });

  test('a granter that was away takes over what another knows, upwards only', () => {
    const stale = life(fresh());
    stale.putEpoch({ service: 'shop', epoch: 1, holder: 'hangzhou' });
    const state = { service: 'shop', epoch: 3, holder: 'beijing', stoppedThrough: 2, remainingMs: 0 };
    stale.learn(state);
    stale.learn({ ...state, epoch: 2, holder: 'hangzhou', stoppedThrough: 1 });
    stale.learn({ ...state, service: 'other' });
    const { epoch, holder, stoppedThrough } = stale.states()[0] ?? {};
    assert.deepEqual([epoch, holder, stoppedThrough], [3, 'beijing', 2]);
  });
});
