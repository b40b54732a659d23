/** Which snapshots are meant. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../../activities/backup/repository/snapshot.ts';
import { chosen, type ChoiceOptions } from '../../cli/repo/choice.ts';
import { newestOfEach } from '../../cli/repo/snapshots.ts';

const snapshot = (id: string, extra: Partial<Snapshot> = {}): Snapshot => ({
  ...{ id, time: `2026-01-0${id.length}T00:00:00Z`, tree: '', paths: ['/srv'], hostname: 'a' },
  ...extra,
});
const all = [
  snapshot('1', { tags: ['daily', 'db'] }),
  snapshot('2', { hostname: 'b', tags: ['daily'] }),
  snapshot('3', { paths: ['/srv', '/home'] }),
  snapshot('4', { hostname: 'b', paths: ['/home'] }),
];

const cases: { name: string; options: ChoiceOptions; want: string }[] = [
  { name: 'nothing said means all', options: {}, want: '1234' },
  { name: 'a host', options: { host: ['a'] }, want: '13' },
  { name: 'one of two hosts', options: { host: ['a', 'b'] }, want: '1234' },
  { name: 'a path among others', options: { path: ['/srv'] }, want: '123' },
  { name: 'all of two paths', options: { path: ['/srv', '/home/'] }, want: '3' },
  { name: 'a tag', options: { tag: ['daily'] }, want: '12' },
  { name: 'both tags', options: { tag: ['daily,db'] }, want: '1' },
  { name: 'either tag', options: { tag: ['db', 'weekly'] }, want: '1' },
  { name: 'an empty tag means no tags', options: { tag: [''] }, want: '34' },
  { name: 'host, path and tag together', options: { host: ['b'], path: ['/srv'], tag: ['daily'] }, want: '2' },
];
for (const { name, options, want } of cases) {
  test(`snapshots by ${name}`, () => {
    const found = all.filter(chosen(options)).map(({ id }) => id);
    assert.equal(found.join(''), want);
  });
}

test('the latest are those of each host and paths, and stay in order', () => {
  const list = [
    snapshot('1'),
    snapshot('2', { hostname: 'b' }),
    snapshot('3'),
    snapshot('4'),
    snapshot('5', { paths: ['/x'] }),
  ];
  assert.deepEqual(
    newestOfEach(list, 2).map(({ id }) => id),
    ['2', '3', '4', '5'],
  );
});
