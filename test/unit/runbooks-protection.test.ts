import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { driverCatalogue } from '../../activities/drivers/index.ts';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import { canonicalJson } from '../../runbooks/hash.ts';
import { longestGapSeconds, whenOf } from '../../runbooks/intervals.ts';
import {
  archiveWalOrderOf,
  backupOrderOf,
  mirrorOrderOf,
  pruneOrderOf,
  replicateOrderOf,
  restoreTestOrderOf,
  verifyOrderOf,
} from '../../runbooks/protection-orders.ts';
import { compileProtection, scheduledOf, verifyTurns } from '../../runbooks/protection.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText, readRunbooksFile } from '../support/estates.ts';

const vault = { repository: '/backup/vault', password: 'env:P' };

function estateOf(service: Record<string, unknown>, vaults: Record<string, unknown> = { vault }): Estate {
  return parseEstate(estateText(service, vaults), 'muster.yaml', testCatalogue);
}

function backing(backup: Record<string, unknown>, vaults?: Record<string, unknown>): Estate {
  return estateOf({ backups: [{ resource: 'orders', every: '6h', to: 'vault', ...backup }] }, vaults);
}

test('the library’s protected database asks for a backup, its proof, the care of two vaults, a drill and the WAL', () => {
  const name = 'protected-postgres.yaml';
  const plan = compileProtection(parseEstate(readRunbooksFile(`library/${name}`), name, driverCatalogue));
  assert.deepEqual(
    scheduledOf(plan).map(({ scheduleId, workflowType, workflowId, every, site }) => [
      scheduleId,
      workflowType,
      workflowId,
      every,
      site,
    ]),
    [
      ['backup/orders-db/orders/vault', 'backup', 'backup/orders-db/orders/vault', 'daily', 'east'],
      ['restore-test/orders-db/orders/vault', 'restoreTest', 'restore-test/orders-db/orders/vault', 'weekly', 'west'],
      ['renew-locks/vault', 'renewLocks', 'renew-locks/vault', 'daily', 'west'],
      ['mirror/vault', 'mirrorVault', 'mirror/vault', 'daily', 'west'],
      ['verify/vault', 'verifyVault', 'verify/vault', 'daily', 'west'],
      ['verify/far', 'verifyVault', 'verify/far', 'daily', null],
      ['prune/vault', 'prune', 'prune/vault', 'weekly', 'west'],
      ['drill/orders-db/isolated', 'drill', 'service/orders-db', 'monthly', 'east'],
    ],
  );
  const [backup] = plan.backups;
  assert.deepEqual(
    { when: backup?.when, jitter: backup?.jitterSeconds, catchUp: backup?.catchUpSeconds },
    {
      when: { kind: 'calendar', hour: 2, minute: 30, dayOfWeek: null, dayOfMonth: null, months: null },
      jitter: 600,
      catchUp: 21_600,
    },
  );
  assert.deepEqual(plan.restoreTests[0]?.order.point, { kind: 'random', seed: '' });
  assert.equal(plan.restoreTests[0]?.order.checks.rows?.[0]?.table, 'orders');
  assert.deepEqual(
    plan.walArchives.map(({ workflowId, order }) => [workflowId, order.synchronous]),
    [['archive-wal/orders-db/orders/vault', false]],
  );
});

test('orders carry references, never what they stand for, and no key of the estate that is not the resource’s own', () => {
  const [backup] = compileProtection(backing({})).backups;
  assert.deepEqual(backup?.order, {
    service: 'shop',
    resource: {
      name: 'orders',
      driver: 'postgres',
      sites: { hangzhou: { url: 'env:A' }, beijing: { url: 'env:B' } },
      shared: {},
    },
    site: 'hangzhou',
    vault: { name: 'vault', ...vault, site: null, verifyWithinSeconds: null, lockSeconds: null },
    startedBy: 'schedule',
  });
});

test('an estate without vaults, backups and drills asks for nothing', () => {
  assert.deepEqual(scheduledOf(compileProtection(estateOf({}, {}))), []);
});

const prunes: { name: string; vault: object; keep: object | undefined; every: string | null }[] = [
  { name: 'nothing says what to keep', vault: {}, keep: undefined, every: null },
  { name: 'a backup has a rule', vault: {}, keep: { daily: 7 }, every: 'daily' },
  { name: 'the vault says when', vault: { prune: '12h' }, keep: { daily: 7 }, every: '12h' },
  { name: 'the vault says when, though all is kept', vault: { prune: 'weekly' }, keep: undefined, every: 'weekly' },
];

for (const { name, vault: more, keep, every } of prunes)
  test(`prune is ${every ?? 'not asked for'} when ${name}`, () => {
    const plan = compileProtection(backing(keep === undefined ? {} : { keep }, { vault: { ...vault, ...more } }));
    assert.deepEqual(
      plan.prunes.map((prune) => [prune.every, prune.order.keep]),
      every === null ? [] : [[every, [{ service: 'shop', resource: 'orders', keep: keep ?? {} }]]],
    );
  });

test('one prune for a vault knows the rules of all who back up to it, and of nobody else', () => {
  const resources = Object.fromEntries(
    ['orders', 'stock', 'mail'].map((name) => [
      name,
      { driver: 'postgres', hangzhou: { url: 'env:A' }, beijing: { url: 'env:B' } },
    ]),
  );
  const backups = [
    { resource: 'orders', every: '6h', to: 'vault', keep: { last: 3, within: '14d' } },
    { resource: 'stock', every: '6h', to: 'vault' },
    { resource: 'mail', every: '6h', to: 'other', keep: { yearly: 1 } },
  ];
  const { prunes: found } = compileProtection(estateOf({ resources, backups }, { vault, other: vault }));
  assert.deepEqual(
    found.map(({ workflowId, order }) => [workflowId, order.keep.map((k) => [k.resource, k.keep])]),
    [
      [
        'prune/vault',
        [
          ['orders', { last: 3, within: '14d' }],
          ['stock', {}],
        ],
      ],
      ['prune/other', [['mail', { yearly: 1 }]]],
    ],
  );
});

test('every pack is read within the stated time, although any two turns fail', () => {
  fc.assert(
    fc.property(fc.integer({ min: 3_600, max: 400 * 86_400 }), fc.integer({ min: 1, max: 5_000 }), (within, packs) => {
      const { everySeconds, percent } = verifyTurns(within);
      assert.ok(percent > 0 && percent <= 100 && everySeconds >= 60);
      // Turns until each pack was read once, reading at least the share and never none.
      const perTurn = Math.max(1, Math.ceil((packs * percent) / 100));
      const turns = Math.ceil(packs / perTurn) + 2;
      assert.ok(turns * everySeconds <= within, `${turns} turns of ${everySeconds} s in ${within} s`);
    }),
  );
});

test('what is locked stays locked although two renewals fail', () => {
  fc.assert(
    fc.property(fc.integer({ min: 60, max: 500 * 24 * 60 }), (minutes) => {
      const locked = { vault: { ...vault, lock: `${minutes}m` } };
      const [renewal] = compileProtection(backing({}, locked)).lockRenewals;
      assert.ok(renewal !== undefined);
      assert.ok(3 * (renewal.gapSeconds + renewal.jitterSeconds) < minutes * 60, renewal.every);
    }),
    { numRuns: 60 },
  );
});

test('only a bucket that is copied asks for replication, from the site that writes', () => {
  const bucket = (replication: string) => ({ driver: 'bucket', replication, hangzhou: {}, beijing: {} });
  const estate = parseEstate(
    estateText({ resources: { receipts: bucket('async'), logs: bucket('none') } }),
    'muster.yaml',
    { bucket: { kind: 'bucket', verbs: {}, stateful: true, routes: false, validate: () => [] } },
  );
  const { replications } = compileProtection(estate);
  assert.deepEqual(
    replications.map(({ workflowId, order: { from, to, resource } }) => [workflowId, from, to, resource.name]),
    [['replicate/shop/receipts', 'hangzhou', 'beijing', 'receipts']],
  );
  assert.deepEqual(replicateOrderOf(estate, { service: 'shop', resource: 'receipts' }), replications[0]);
});

const whens: { every: string; at: string; first: string[] }[] = [
  { every: 'hourly', at: '02:30', first: ['2026-01-01T00:00Z', '2026-01-01T01:00Z'] },
  { every: '30m', at: '02:30', first: ['2026-01-01T00:00Z', '2026-01-01T00:30Z'] },
  { every: '1d', at: '02:30', first: ['2026-01-01T02:30Z', '2026-01-02T02:30Z'] },
  { every: '1w', at: '02:30', first: ['2026-01-04T02:30Z', '2026-01-11T02:30Z'] },
];

for (const { every, at, first } of whens)
  test(`${every} at ${at} is at ${first.join(' and ')}`, () => {
    const when = whenOf(every, at);
    assert.ok(when.kind === 'interval');
    const from = Date.parse('2026-01-01T00:00Z') / 1000;
    const turn = (n: number): number =>
      when.offsetSeconds + Math.ceil((from - when.offsetSeconds) / when.everySeconds + n) * when.everySeconds;
    assert.deepEqual(
      [0, 1].map((n) => turn(n) * 1000),
      first.map((text) => Date.parse(text)),
    );
  });

test('weekly is on Sundays, quarterly on the first of four months, in UTC', () => {
  const day = { kind: 'calendar', hour: 23, minute: 5, dayOfWeek: null, dayOfMonth: null, months: null };
  assert.deepEqual(whenOf('weekly', '23:05'), { ...day, dayOfWeek: 0 });
  assert.deepEqual(whenOf('quarterly', '23:05'), { ...day, dayOfMonth: 1, months: [1, 4, 7, 10] });
  assert.deepEqual(whenOf('yearly', '23:05'), { ...day, dayOfMonth: 1, months: [1] });
});

test('a start is put off by less than half the interval and made up for within a quarter of it', () => {
  const every = fc.oneof(
    fc.constantFrom('hourly', 'daily', 'weekly', 'monthly', 'quarterly', 'yearly'),
    fc.tuple(fc.integer({ min: 1, max: 400 }), fc.constantFrom('m', 'h', 'd', 'w')).map(([n, unit]) => `${n}${unit}`),
  );
  fc.assert(
    fc.property(every, (interval) => {
      const [backup] = compileProtection(backing({ every: interval })).backups;
      assert.ok(backup !== undefined);
      assert.equal(backup.gapSeconds, longestGapSeconds(interval));
      assert.ok(backup.jitterSeconds >= 0 && backup.jitterSeconds <= Math.min(300, backup.gapSeconds / 10));
      assert.ok(backup.catchUpSeconds >= 60 && backup.catchUpSeconds <= 86_400);
    }),
    { numRuns: 60 },
  );
});

test('the order of the file’s keys changes nothing in the plan, and all schedule ids are distinct', () => {
  const one = backing({ keep: { daily: 7, last: 2 }, restoreTest: { every: 'weekly', point: 'random' } });
  const other = backing({ restoreTest: { point: 'random', every: 'weekly' }, keep: { last: 2, daily: 7 } });
  assert.equal(canonicalJson(compileProtection(one)), canonicalJson(compileProtection(other)));
  const ids = scheduledOf(compileProtection(one)).map(({ scheduleId }) => scheduleId);
  assert.equal(new Set(ids).size, ids.length);
});

const shop = { service: 'shop', resource: 'orders' };

test('orders are found by name', () => {
  const estate = backing(
    { wal: 'synchronous', keep: { daily: 1 }, restoreTest: 'weekly' },
    { vault: { ...vault, verifyWithin: '30d', copyTo: 'far' }, far: vault },
  );
  assert.equal(backupOrderOf(estate, shop).workflowId, 'backup/shop/orders/vault');
  assert.equal(backupOrderOf(estate, { ...shop, vault: 'vault' }).workflowId, 'backup/shop/orders/vault');
  assert.equal(restoreTestOrderOf(estate, shop).workflowId, 'restore-test/shop/orders/vault');
  assert.equal(archiveWalOrderOf(estate, shop).order.synchronous, true);
  assert.equal(pruneOrderOf(estate, 'vault').order.vault.name, 'vault');
  assert.equal(verifyOrderOf(estate, 'vault').order.percent, 3.58);
  assert.equal(mirrorOrderOf(estate, 'vault').order.to.name, 'far');
});

test('a backup that has no restore test can be tested all the same', () => {
  const { workflowId, order } = restoreTestOrderOf(backing({}), shop);
  assert.equal(workflowId, 'restore-test/shop/orders/vault');
  assert.deepEqual([order.point, order.target, order.checks], [{ kind: 'newest' }, { kind: 'point' }, {}]);
});

const unfound: { name: string; find: () => unknown; says: RegExp }[] = [
  {
    name: 'a resource that has no backup',
    find: () => backupOrderOf(backing({}), { ...shop, resource: 'stock' }),
    says: /no backup of shop\/stock; it has: backup\/shop\/orders\/vault/,
  },
  {
    name: 'a resource with two vaults and none named',
    find: () => {
      const backups = ['vault', 'far'].map((to) => ({ resource: 'orders', every: '6h', to }));
      return backupOrderOf(estateOf({ backups }, { vault, far: vault }), shop);
    },
    says: /more than one backup, name the vault: .*vault, backup\/shop\/orders\/far/,
  },
  { name: 'a WAL nobody archives', find: () => archiveWalOrderOf(backing({}), shop), says: /it has: none/ },
];

for (const { name, find, says } of unfound)
  test(`${name} is an error that says what there is`, () => {
    assert.throws(find, (err) => err instanceof MusterError && err.code === 'CONFIG_INVALID' && says.test(err.message));
  });
