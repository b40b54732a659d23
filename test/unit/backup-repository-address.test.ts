import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../activities/backup/repository/address.ts';

const env = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret', HOME: '/nowhere' };
const dayMs = 86_400_000;

const locked: { text: string; retention: object; region: string }[] = [
  {
    text: 's3://vault/in?objectLock=compliance:30d&endpoint=http://h:1&region=r1',
    retention: { mode: 'COMPLIANCE', forMs: 30 * dayMs },
    region: 'r1',
  },
  {
    text: 's3://vault/in?endpoint=http://h:1&objectLock=GOVERNANCE:1d&region=r2',
    retention: { mode: 'GOVERNANCE', forMs: dayMs },
    region: 'r2',
  },
  {
    text: 's3://vault/in?endpoint=http://h:1&region=r3&objectLock=governance%3A7d',
    retention: { mode: 'GOVERNANCE', forMs: 7 * dayMs },
    region: 'r3',
  },
];
for (const { text, retention, region } of locked) {
  test(`${text} locks new files`, () => {
    const address = parseAddress(text, env);
    assert.ok(address.kind === 'objects');
    assert.deepEqual([address.retention, address.place.region], [retention, region]);
    assert.deepEqual([address.place.prefix, address.place.endpoint], ['in/', 'http://h:1']);
  });
}

test('without the option nothing is locked', () => {
  const address = parseAddress('s3://vault/in?endpoint=http://h:1&region=r', env);
  assert.ok(address.kind === 'objects' && address.retention === undefined);
});

for (const text of ['ftp://vault/x', 'https://vault.example.com/x', 'file:///vault', 'S5://vault']) {
  test(`${text} is no directory of that name`, () => {
    assert.throws(() => parseAddress(text, env), { code: 'CONFIG_INVALID', message: /are not read; a directory, s3/ });
  });
}

const wrong = [
  's3://vault?objectLock=30d&endpoint=http://h:1',
  's3://vault?objectLock=compliance:0d&endpoint=http://h:1',
  's3://vault?objectLock=&endpoint=http://h:1',
  'oss://vault?objectLock=compliance:30d',
];
for (const text of wrong) {
  test(`${text} is refused, and says why`, () => {
    assert.throws(() => parseAddress(text, env), { code: 'CONFIG_INVALID', message: /option objectLock/ });
  });
}
