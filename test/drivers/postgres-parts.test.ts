/** The parts of the driver that need no server. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { validatePostgres } from '../../activities/drivers/postgres/config.ts';
import { addressOf, conninfoOf, parseDatabaseUrl, passwordLine } from '../../activities/drivers/postgres/conninfo.ts';
import { checksumHolds, type ControlFile } from '../../activities/drivers/postgres/control-file.ts';
import { fullXid } from '../../activities/drivers/postgres/fork.ts';
import { leaseMarginMs } from '../../activities/drivers/postgres/granters.ts';
import {
  forkAfter,
  parseHistory,
  relationTo,
  type TimelineHistory,
} from '../../activities/drivers/postgres/history.ts';
import { judgeLag, type Lag } from '../../activities/drivers/postgres/lag.ts';
import { bytesBetween, formatLsn, hasReached, parseLsn } from '../../activities/drivers/postgres/lsn.ts';
import { BackendReader } from '../../activities/drivers/postgres/replication.ts';
import { compareKeys, differences, type KeyedRow } from '../../activities/drivers/postgres/sorted-rows.ts';
import type { TableShape } from '../../activities/drivers/postgres/tables.ts';
import { TarReader, type TarEntry } from '../../activities/drivers/postgres/tar.ts';
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

/** A minimal archive: header, data, padding, two blocks of zeros. */
function archive(files: { name: string; data: Buffer }[]): Buffer {
  const blocks = files.flatMap(({ name, data }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000600\0', 100);
    header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('0', 156);
    header.write('ustar\0', 257);
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function readTar(pieces: Buffer[]): { name: string; data: Buffer }[] {
  const files: { name: string; parts: Buffer[] }[] = [];
  const reader = new TarReader({
    entry: (entry: TarEntry) => void files.push({ name: entry.name, parts: [] }),
    data: (bytes) => void files.at(-1)?.parts.push(bytes),
  });
  for (const piece of pieces) reader.feed(piece);
  reader.end();
  return files.map(({ name, parts }) => ({ name, data: Buffer.concat(parts) }));
}

test('an archive comes out as it went in, however it is cut into pieces', () => {
  const file = fc.record({
    name: fc.stringMatching(/^[a-z]{1,20}$/),
    data: fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes)),
  });
  fc.assert(
    fc.property(
      fc.array(file, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1 }),
      (files, cuts) => {
        const bytes = archive(files);
        const pieces: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(
          readTar(pieces),
          files.map(({ name, data }) => ({ name, data })),
        );
      },
    ),
  );
});

test('an archive with a flipped bit in a header, or cut short, is refused', () => {
  const bytes = archive([{ name: 'a', data: Buffer.from('hello') }]);
  const flipped = Buffer.from(bytes);
  flipped[1] = 0x41;
  assert.throws(() => readTar([flipped]), /checksum/);
  assert.throws(() => readTar([bytes.subarray(0, 514)]), /middle of a file/);
});

test('messages of the server are put together from any pieces, and its errors are thrown', () => {
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeUInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const row = Buffer.concat([Buffer.from([0, 2, 0, 0, 0, 1]), Buffer.from('x'), Buffer.from([255, 255, 255, 255])]);
  const bytes = Buffer.concat([
    message('D', row),
    message('d', Buffer.from('dpayload')),
    message('c', Buffer.alloc(0)),
    message('Z', Buffer.from('I')),
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), (size) => {
      const reader = new BackendReader();
      const pieces = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(...reader.feed(bytes.subarray(at, at + size)));
      const copied = Buffer.concat(
        pieces.map((piece) => (piece.kind === 'copy' ? piece.bytes : Buffer.alloc(0))),
      ).toString();
      assert.equal(copied, 'dpayload');
      assert.deepEqual(
        pieces.filter((piece) => piece.kind !== 'copy').map((piece) => piece.kind),
        ['row', 'copy-done', 'ready'],
      );
    }),
  );
  const error = message('E', Buffer.from('SFATAL\0C53300\0Mtoo many clients\0\0'));
  assert.throws(() => [...new BackendReader().feed(error)], /too many clients \(53300\)/);
});

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
