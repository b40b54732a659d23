/** The words of `muster repo`: how options are read, and how figures and names are shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBytes, formatClock, formatCount, formatElapsed, formatTable, printable } from '../../cli/format.ts';
import { permissionText } from '../../cli/repo/ls.ts';
import {
  parseDuration,
  parseGroupBy,
  parseKeep,
  parseMaxUnused,
  parseSnapshotPath,
  parseTagLists,
  parseTags,
} from '../../cli/repo/parse.ts';
import { parseAddress } from '../../activities/backup/repository/address.ts';
import { repositoryAddress } from '../../cli/repo/place.ts';
import { MusterError } from '../../workflows/engine/errors.ts';

const invalid = (err: unknown): boolean => err instanceof MusterError && err.code === 'CONFIG_INVALID';

const durations: [string, number | null][] = [
  ['0', 0],
  ['250ms', 250],
  ['30s', 30_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['2d', 172_800_000],
  ['5', null],
  ['', null],
  ['5m later', null],
  ['-5m', null],
];
for (const [text, ms] of durations) {
  test(`"${text}" as a duration is ${ms === null ? 'refused' : `${ms} ms`}`, () => {
    if (ms === null) assert.throws(() => parseDuration('--lock-wait', text), invalid);
    else assert.equal(parseDuration('--lock-wait', text), ms);
  });
}

test('what is kept is a number or all', () => {
  assert.deepEqual(
    ['0', '14', 'unlimited', '-1'].map((text) => parseKeep('--keep-last', text)),
    [0, 14, 'all', 'all'],
  );
  for (const text of ['', 'x', '1.5', '-2', '1e3']) assert.throws(() => parseKeep('--keep-last', text), invalid);
});

test('the share of waste that may stay is in percent, for nothing else is told apart from a size', () => {
  assert.deepEqual(['5%', '0', '0%', '12.5%', 'unlimited'].map(parseMaxUnused), [5, 0, 0, 12.5, 100]);
  for (const text of ['5', '101%', '200M', '', '-1%']) assert.throws(() => parseMaxUnused(text), invalid);
});

test('tags with commas belong together, where snapshots are chosen', () => {
  assert.deepEqual(parseTagLists(['a,b', 'c', '']), [['a', 'b'], ['c'], []]);
  assert.deepEqual(parseTags(['a,b', 'b,c']), ['a', 'b', 'c']);
});

test('a snapshot may be named with a path in it, which may have colons', () => {
  assert.deepEqual(parseSnapshotPath('latest'), { snapshot: 'latest', subpath: null });
  assert.deepEqual(parseSnapshotPath('1a2b:/var/a:b'), { snapshot: '1a2b', subpath: '/var/a:b' });
});

test('groups are of host, paths and tags, by either name', () => {
  assert.deepEqual(parseGroupBy('host,path,tags'), ['host', 'paths', 'tags']);
  assert.deepEqual(parseGroupBy(''), []);
  assert.throws(() => parseGroupBy('user'), invalid);
});

const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'not told', AWS_REGION: 'r1', HOME: '/nonexistent' };

test('a repository is a directory or a bucket, also as restic writes them', () => {
  assert.deepEqual(parseAddress('/backup/vault', {}), { kind: 'directory', path: '/backup/vault' });
  assert.deepEqual(parseAddress('local:/backup', {}), { kind: 'directory', path: '/backup' });
  const cases = [
    ['s3://vault/db?endpoint=https://s3.example.com', 'https://s3.example.com', 'db/'],
    ['s3:https://s3.example.com:9000/vault/db', 'https://s3.example.com:9000', 'db/'],
    ['s3:s3.example.com/vault', 'https://s3.example.com', ''],
  ];
  for (const [text = '', endpoint, prefix] of cases) {
    const address = parseAddress(text, keys);
    assert.equal(address.kind, 'objects');
    const { bucket, ...place } = (address as { place: { bucket: string; endpoint: string; prefix: string } }).place;
    assert.deepEqual([bucket, place.endpoint, place.prefix], ['vault', endpoint, prefix], text);
  }
});

test('an address that restic knows and Muster does not is no directory of that name', () => {
  for (const text of ['sftp:me@host:/vault', 'rest:https://host/', 'b2:bucket', 'rclone:x:y', '']) {
    assert.throws(() => parseAddress(text, {}), invalid, text);
  }
});

test('the option counts more than MUSTER_REPOSITORY, and that more than RESTIC_REPOSITORY', () => {
  const env = { MUSTER_REPOSITORY: '/own', RESTIC_REPOSITORY: '/theirs' };
  const path = (given: string | undefined, from: NodeJS.ProcessEnv) =>
    (repositoryAddress(given, from) as { path: string }).path;
  assert.equal(path('/given', env), '/given');
  assert.equal(path(undefined, env), '/own');
  assert.equal(path(undefined, { ...env, MUSTER_REPOSITORY: '' }), '/theirs');
  assert.throws(() => repositoryAddress(undefined, {}), invalid);
});

const sizes: [number, string][] = [
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_024, '1.0 KiB'],
  [1_536, '1.5 KiB'],
  [1_048_575, '1.0 MiB'],
  [356_724_736, '340.2 MiB'],
  [2 ** 40, '1.0 TiB'],
];
for (const [bytes, text] of sizes) test(`${bytes} bytes are ${text}`, () => assert.equal(formatBytes(bytes), text));

test('a size never takes four digits before its point, but bytes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1_024, max: 2 ** 50 }), (bytes) => {
      assert.match(formatBytes(bytes), /^\d{1,3}\.\d [KMGTP]iB$|^10[0-2]\d\.\d [KMGTP]iB$/);
    }),
  );
});

test('counts and times are as a person writes them', () => {
  assert.deepEqual([0, 999, 1_000, 1_234_567].map(formatCount), ['0', '999', '1,000', '1,234,567']);
  assert.deepEqual([0, 7.4, 61, 3_723].map(formatClock), ['0:00', '0:07', '1:01', '1:02:03']);
  assert.deepEqual([0.04, 9.9, 12.4, 187].map(formatElapsed), ['0.0 s', '9.9 s', '12 s', '3:07']);
});

test('no name can command the terminal', () => {
  assert.equal(printable('a\u001b[31mb\nc\u202ed'), 'a\\x1b[31mb\\x0ac\\u202ed');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      assert.doesNotMatch(printable(name), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
    }),
  );
});

test('a table has its columns one below the other, and no blanks at the ends of lines', () => {
  const drawn = formatTable(
    [{ title: 'ID' }, { title: 'Paths' }, { title: 'Size', align: 'right' }],
    [
      ['1a', '/srv\n/home', '1 B'],
      ['2bb', '/', '100 B'],
    ],
  );
  assert.equal(drawn, ['ID   Paths   Size', '1a   /srv     1 B', '     /home', '2bb  /      100 B'].join('\n'));
});

test('modes are shown as ls shows them', () => {
  const directory = 2 ** 31;
  assert.equal(permissionText({ type: 'file', mode: 0o644 }), '-rw-r--r--');
  assert.equal(permissionText({ type: 'dir', mode: directory + 2 ** 20 + 0o777 }), 'drwxrwxrwt');
  assert.equal(permissionText({ type: 'file', mode: 2 ** 23 + 2 ** 22 + 0o744 }), '-rwsr-Sr--');
});
