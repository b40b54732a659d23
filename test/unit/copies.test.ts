/** Long copies as the estate asks for them, and the order that becomes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseCount } from '../../activities/drivers/bucket/config.ts';
import { parseTimetable } from '../../activities/mover/run/timetable.ts';
import { passRuleOf } from '../../activities/protection/copy/rule.ts';
import { copyOrderOf, copyWorkflowId } from '../../runbooks/copies-orders.ts';
import { copySchema } from '../../runbooks/copies-schema.ts';
import { compileProtection, scheduledOf } from '../../runbooks/protection.ts';
import { estateOf, from, orderOf, to } from '../support/copy-orders.ts';

test('a copy of two addresses is one leg with safe defaults: nothing deleted, nothing foreign overwritten, ETA measured', () => {
  assert.deepEqual(orderOf(), {
    ...{ name: 'one', from, to, mode: 'do', measure: true, startedBy: 'Li' },
    legs: [
      {
        ...{ kind: 'copy', name: 'all', removeSource: false },
        filter: {
          ...{ prefix: '', include: [], exclude: [], minSizeBytes: null, maxSizeBytes: null },
          ...{ minAgeSeconds: null, maxAgeSeconds: null, tags: {} },
        },
      },
    ],
    rule: {
      ...{ versions: false, deleteShare: null, verifyShare: 0, compareBy: 'content', properties: false },
      ...{ overwrite: 'ours', storageClass: 'keep', bandwidth: null, requests: null, transfers: 32 },
    },
    shard: { bytes: 4 * 1024 ** 3, ms: 300_000, perRun: 50 },
  });
});

test('rules are legs in their order, each with its action and its conditions in bytes and seconds', () => {
  const rules = [
    { name: 'cold', tier: 'STANDARD_IA', minAge: '90d', minSize: '128K' },
    { name: 'gone', migrate: { keepSource: false }, prefix: 'logs/', tag: { class: 'cold' } },
    { name: 'both', migrate: {}, include: ['*.pdf'], maxAge: '2w' },
  ];
  const { legs } = orderOf({ rules });
  assert.deepEqual(
    legs.map((leg) => [
      leg.name,
      leg.kind,
      leg.kind === 'tier' ? leg.storageClass : leg.kind === 'copy' && leg.removeSource,
    ]),
    [
      ['cold', 'tier', 'STANDARD_IA'],
      ['gone', 'copy', true],
      ['both', 'copy', false],
    ],
  );
  const [cold, gone, both] = legs.map(({ filter }) => filter);
  assert.deepEqual([cold?.minAgeSeconds, cold?.minSizeBytes], [90 * 86_400, 128 * 1024]);
  assert.deepEqual([gone?.prefix, gone?.tags], ['logs/', { class: 'cold' }]);
  assert.deepEqual([both?.include, both?.maxAgeSeconds], [['*.pdf'], 14 * 86_400]);
});

test('a pair carries deletes under their guard and leaves conflicts to a person, unless it is said otherwise', () => {
  const { legs, rule } = orderOf({ direction: 'both' });
  assert.deepEqual(
    [legs[0]?.kind, legs[0]?.kind === 'pair' && legs[0].conflicts, rule.deleteShare],
    ['pair', 'keep', 0.1],
  );
  const other = orderOf({ direction: 'both', conflicts: 'newer', deleteGuard: 50 });
  assert.deepEqual([other.legs[0]?.kind === 'pair' && other.legs[0].conflicts, other.rule.deleteShare], ['newer', 0.5]);
  assert.throws(() => orderOf({ direction: 'both' }, 'compare'), { code: 'CONFIG_INVALID' });
});

const times: { every?: string; at?: string; expected: [string, number, number] | null }[] = [
  { expected: null },
  { at: '02:30', expected: ['daily', 2, 30] },
  { every: 'weekly', expected: ['weekly', 7, 0] },
  { every: 'weekly', at: '02:30', expected: ['weekly', 2, 30] },
];
for (const { expected, ...time } of times)
  test(`a copy with ${JSON.stringify(time)} ${expected === null ? 'has no schedule' : `is made ${expected[0]}`}`, () => {
    const plan = compileProtection(estateOf({ one: { from, to, site: 'beijing', ...time } }));
    const found = scheduledOf(plan).map(({ scheduleId, workflowId, workflowType, site, every, when }) => {
      assert.deepEqual(
        [scheduleId, workflowId, workflowType, site],
        ['copy/one', 'copy/one', 'copyObjects', 'beijing'],
      );
      return when.kind === 'calendar' ? [every, when.hour, when.minute] : [];
    });
    assert.deepEqual(found, expected === null ? [] : [expected]);
    assert.ok(plan.copies.every(({ order }) => order.mode === 'do' && order.startedBy === 'schedule'));
  });

test('a name that is no copy is refused with the one that was meant, and rules within the source cannot be compared', () => {
  const estate = estateOf({ receipts: { from, to }, cold: { from, rules: [{ name: 'a', tier: 'IA', minAge: '1d' }] } });
  const about = { mode: 'do', startedBy: 'Li' } as const;
  assert.throws(() => copyOrderOf(estate, 'receits', about), {
    code: 'CONFIG_INVALID',
    message: /did you mean "receipts"/,
  });
  assert.throws(() => copyOrderOf(estate, 'cold', { ...about, mode: 'compare' }), { code: 'CONFIG_INVALID' });
  assert.deepEqual(
    (['do', 'plan', 'compare'] as const).map((mode) => copyWorkflowId('a', mode)),
    [...['copy/a', 'copy-plan/a', 'copy-compare/a']],
  );
});

test('whatever timetable the estate takes, the mover reads', () => {
  const days = fc.constantFrom('', 'Mon-', 'Sunday-', 'fri-').map((day) => day.toLowerCase());
  const clock = fc.tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }));
  const rates = (units: string[]): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constant('off'),
      fc.tuple(fc.integer({ min: 1, max: 9_999 }), fc.constantFrom(...units)).map(([n, unit]) => `${n}${unit}`),
    );
  const tables = (units: string[]): fc.Arbitrary<string> => {
    const entry = fc.tuple(days, clock, rates(units));
    const texts = fc.array(
      entry.map(([day, [h, m], rate]) => `${day}${h}:${String(m).padStart(2, '0')},${rate}`),
      { minLength: 1, maxLength: 4 },
    );
    return fc.oneof(
      rates(units),
      texts.map((all) => all.join(' ')),
    );
  };
  const accepts = (key: 'bandwidth' | 'requests', text: string): boolean =>
    copySchema.safeParse({ from, to, [key]: text }).success;
  fc.assert(
    fc.property(tables(['', 'B', 'K', 'MiB', 'GB']), tables(['']), (bandwidth, requests) => {
      assert.ok(accepts('bandwidth', bandwidth) && accepts('requests', requests));
      const rule = { ...orderOf({ bandwidth, requests }) };
      assert.ok(passRuleOf(rule, rule.legs[0]!, 'copying').requests!.steps.length > 0);
    }),
    { numRuns: 30 },
  );
  for (const text of ['0', '0.0M', 'fast', '24:00,1M', '08:60,1M', '08:00,1M,2M', 'Noday-08:00,1M', ''])
    assert.equal(accepts('bandwidth', text), false, text);
  assert.equal(accepts('requests', '10M'), false);
  assert.ok(parseTimetable('0.5', parseCount).steps.length === 1 && accepts('requests', '0.5'));
});
