/** The parts of the driver that need no server. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { validatePostgres } from '../../activities/drivers/postgres/config.ts';
import { addressOf, conninfoOf, parseDatabaseUrl, passwordLine } from '../../activities/drivers/postgres/conninfo.ts';
import { checksumHolds, type ControlFile } from '../../activities/drivers/postgres/control-file.ts';
import { fullXid } from '../../activities/drivers/postgres/fork.ts';
import { leaseMarginMs } from '../../activities/drivers/guarded/granters.ts';
import {
  forkAfter,
  parseHistory,
  relationTo,
  type TimelineHistory,
} from '../../activities/drivers/postgres/history.ts';
import { judgeLag, type Lag } from '../../activities/drivers/postgres/lag.ts';
import { bytesBetween, formatLsn, hasReached, parseLsn } from '../../activities/drivers/postgres/lsn.ts';
import { compareKeys, differences, type KeyedRow } from '../../activities/drivers/postgres/sorted-rows.ts';
import type { TableShape } from '../../activities/drivers/postgres/tables.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';

test('a WAL position survives being read and written', () => {
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (lsn) => parseLsn(formatLsn(lsn)) === lsn));
});

const reached: [at: string | null, goal: string | null, is: boolean][] = [
  ['0/3000148', '0/3000148', true],
  ['1/0', '0/FFFFFFFF', true],
  ['0/3000147', '0/3000148', false],
  [null, '0/1', false],
  ['0/1', null, false],
  ['nonsense', '0/1', false],
];
for (const [at, goal, is] of reached) {
  test(`a server at ${at} has ${is ? '' : 'not '}reached ${goal}`, () => assert.equal(hasReached(at, goal), is));
}

test('bytes between two positions are unknown when one is, and never below zero', () => {
  assert.equal(bytesBetween('0/200', '0/100'), 256);
  assert.equal(bytesBetween('0/100', '0/200'), 0);
  assert.equal(bytesBetween(null, '0/100'), null);
  assert.equal(bytesBetween('0/100', undefined), null);
});

test('a control file without its checksum is refused', () => {
  assert.equal(checksumHolds(Buffer.alloc(8192)), false);
  assert.equal(checksumHolds(randomBytes(300)), false);
});

const history: TimelineHistory = {
  systemId: '7',
  timelines: [
    { timeline: 1, endLsn: '0/5000000' },
    { timeline: 2, endLsn: '0/7000000' },
    { timeline: 3, endLsn: null },
  ],
};
const control = (changes: Partial<ControlFile>): ControlFile => ({
  systemId: '7',
  state: 'shut-down',
  checkpointLsn: '0/4FFFF28',
  redoLsn: '0/4FFFF28',
  timeline: 1,
  ...changes,
});
const relations: [what: string, control: ControlFile, kind: string][] = [
  ['stopped in order before the fork', control({}), 'behind'],
  ['stopped in order, its last record after the fork', control({ checkpointLsn: '0/5000028' }), 'diverged'],
  [
    'stopped in order exactly at the fork, so its last record lies behind it',
    control({ checkpointLsn: '0/5000000' }),
    'diverged',
  ],
  ['crashed as a primary', control({ state: 'in-production' }), 'diverged'],
  ['stopped as a standby', control({ state: 'shut-down-in-recovery', checkpointLsn: '0/6000000' }), 'behind'],
  ['crashed as a standby', control({ state: 'in-archive-recovery' }), 'behind'],
  ['on a timeline that the other never had', control({ timeline: 9 }), 'diverged'],
  ['a primary of the very timeline of now', control({ timeline: 3 }), 'diverged'],
  ['two forks behind', control({ timeline: 2, checkpointLsn: '0/6000000' }), 'behind'],
  ['of another system', control({ systemId: '8' }), 'stranger'],
];
for (const [what, file, kind] of relations) {
  test(`a server ${what} is ${kind}`, () => assert.equal(relationTo(file, history).kind, kind));
}

test('a history file is read line by line, comments left out', () => {
  const text = '1\t0/5000000\tno recovery target specified\n\n# a comment\n2\t0/7000000\treason\n';
  assert.deepEqual(parseHistory(text), [
    { timeline: 1, endLsn: '0/5000000' },
    { timeline: 2, endLsn: '0/7000000' },
  ]);
  assert.deepEqual(forkAfter(history, 1), { timeline: 2, lsn: '0/5000000' });
  assert.equal(forkAfter(history, 3), null);
});

test('a transaction number is completed to the newest one given out that ends in the same 32 bits', () => {
  assert.equal(fullXid('5', 0x1_0000_0006n), 0x1_0000_0005n);
  assert.equal(fullXid('7', 0x1_0000_0006n), 7n);
  assert.equal(fullXid('5', 6n), 5n);
});

const lag: Lag = {
  streaming: true,
  bytes: 0,
  canarySeconds: 0.4,
  replySeconds: 0.2,
  primaryLsn: '0/1',
  replayLsn: '0/1',
  syncState: 'async',
};
const lags: [what: string, changes: Partial<Lag>, kind: string][] = [
  ['all small', {}, 'inside'],
  ['not listed as streaming', { streaming: false }, 'unknown'],
  ['no position', { bytes: null }, 'unknown'],
  ['no mark', { canarySeconds: null }, 'unknown'],
  ['no answer ever', { replySeconds: null }, 'unknown'],
  ['an old mark', { canarySeconds: 6 }, 'outside'],
  ['a receiver that has fallen silent', { replySeconds: 6.2 }, 'outside'],
];
for (const [what, changes, kind] of lags) {
  test(`lag with ${what} is ${kind}`, () => assert.equal(judgeLag({ ...lag, ...changes }, 5).kind, kind));
}

test('the margin beyond a lease covers a late answer and clocks that run unequally fast', () => {
  assert.equal(leaseMarginMs(0), 50);
  assert.equal(leaseMarginMs(10_000), 150);
});

const byNumber: TableShape = { name: 't', columns: ['id', 'x'], key: [{ column: 'id', type: 'bigint' }] };
const byText: TableShape = { name: 't', columns: ['id', 'x'], key: [{ column: 'id', type: 'text' }] };

test('numbers are ordered as numbers and text by its bytes, as both servers sort them', () => {
  assert.equal(compareKeys(byNumber, ['9'], ['10']), -1);
  assert.equal(compareKeys(byText, ['9'], ['10']), 1);
  assert.ok(compareKeys(byText, ['\u{1F600}'], ['\uFF5E']) > 0);
  assert.equal(compareKeys(byNumber, ['-1'], ['-1']), 0);
});

test('two sorted streams are told apart exactly, whatever is on either side', async () => {
  const side = fc.dictionary(fc.integer({ min: 0, max: 30 }).map(String), fc.constantFrom('a', 'b'));
  await fc.assert(
    fc.asyncProperty(side, side, async (left, right) => {
      const found: string[] = [];
      for await (const one of differences(byNumber, stream(left), stream(right))) {
        const row = one.kind === 'only-right' ? one.right : one.left;
        found.push(`${one.kind} ${row.key[0]}`);
      }
      const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort((a, b) => Number(a) - Number(b));
      const expected = keys
        .filter((key) => left[key] !== right[key])
        .map(
          (key) => `${right[key] === undefined ? 'only-left' : left[key] === undefined ? 'only-right' : 'both'} ${key}`,
        );
      assert.deepEqual(found, expected);
    }),
  );
});

async function* stream(rows: Record<string, string>): AsyncGenerator<KeyedRow> {
  for (const key of Object.keys(rows).sort((a, b) => Number(a) - Number(b)))
    yield { key: [key], json: rows[key] ?? '', xid: '1' };
}

test('the password of an upstream stands in the password file alone', () => {
  const upstream = {
    url: "postgres://muster:p%3Aw'x@db.example:5433/orders?sslmode=require",
    slot: 's',
    applicationName: 'muster_beijing',
  };
  const conninfo = conninfoOf(upstream, '/conf/pgpass');
  assert.ok(!conninfo.includes('p:w'));
  assert.match(conninfo, /sslmode='require'.*host='db.example'.*port='5433'.*passfile='\/conf\/pgpass'/);
  assert.equal(passwordLine(upstream.url), "db.example:5433:*:muster:p\\:w'x\n");
  assert.deepEqual(addressOf(upstream.url), { host: 'db.example', port: 5433, user: 'muster', database: 'orders' });
});

test('a url that cannot be read is refused without being repeated', () => {
  for (const url of ['postgres://user:s3cret@', 's3cret', 'http://user:s3cret@host/db', 'postgres://host/db']) {
    assert.throws(
      () => parseDatabaseUrl(url),
      (err) =>
        err instanceof MusterError &&
        err.code === 'CONFIG_INVALID' &&
        !err.message.includes('s3cret') &&
        err.cause === undefined,
    );
  }
});

const good: JsonObject = {
  driver: 'postgres',
  after: ['vault'],
  tables: ['orders'],
  hangzhou: { url: 'env:A', dataDir: '/data', port: 'env:PORT' },
  beijing: { url: 'env:B', dataDir: '/data', host: '127.0.2.1', port: 5432, slot: 'muster_beijing' },
};
const wrong: [what: string, resource: JsonObject, path: string, message: RegExp][] = [
  ['no tables', { ...good, tables: [] }, 'tables', /./],
  ['tables that are no list', { ...good, tables: 'orders' }, 'tables', /./],
  ['an unknown key', { ...good, synchronus: true }, 'synchronus', /unknown/],
  [
    'a site left out',
    { driver: 'postgres', tables: '*', hangzhou: good['hangzhou'] ?? null },
    'beijing',
    /nothing about/,
  ],
  ['a site without a data directory', { ...good, beijing: { url: 'env:B' } }, 'beijing.dataDir', /./],
  ['a port out of range', { ...good, beijing: { url: 'env:B', dataDir: '/d', port: 70_000 } }, 'beijing.port', /./],
  [
    'a password in the file',
    { ...good, beijing: { url: 'postgres://a:s3cret@h/d', dataDir: '/d' } },
    'beijing.url',
    /password/,
  ],
];
for (const [what, resource, path, message] of wrong) {
  test(`the estate with ${what} is refused at ${path}, saying how to fix it`, () => {
    const problems = validatePostgres(resource, ['hangzhou', 'beijing']);
    const found = problems.find((problem) => problem.path.join('.') === path);
    assert.ok(found, `problems: ${JSON.stringify(problems)}`);
    assert.match(found.message, message);
    assert.ok(found.fix.length > 10);
    assert.ok(!JSON.stringify(problems).includes('s3cret'));
  });
}

test('a good estate has no problems', () => {
  assert.deepEqual(validatePostgres(good, ['hangzhou', 'beijing']), []);
});
