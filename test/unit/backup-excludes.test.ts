import assert from 'node:assert/strict';
import { test } from 'node:test';
import { excludeBy } from '../../activities/backup/source/excludes.ts';

const table: [pattern: string, path: string, isDirectory: boolean, excluded: boolean][] = [
  ['*.log', '/var/log/a.log', false, true],
  ['*.log', '/var/log/a.log.gz', false, false],
  ['log', '/var/log', true, true],
  ['log', '/var/catalog', true, false],
  ['/var/log', '/var/log', true, true],
  ['/var/log', '/srv/var/log', true, false],
  ['var/log', '/srv/var/log', true, true],
  ['/data/*/cache', '/data/a/cache', true, true],
  ['/data/*/cache', '/data/a/b/cache', true, false],
  ['/data/**/cache', '/data/cache', true, true],
  ['/data/**/cache', '/data/a/b/cache', true, true],
  ['**/tmp', '/a/b/tmp', true, true],
  ['cache/', '/a/cache', true, true],
  ['cache/', '/a/cache', false, false],
  ['file?', '/file1', false, true],
  ['file?', '/file12', false, false],
  ['file[0-4]', '/file3', false, true],
  ['file[!0-4]', '/file3', false, false],
  ['a.b', '/axb', false, false],
  ['a\\*', '/a*', false, true],
  ['a\\*', '/ab', false, false],
];

for (const [pattern, path, isDirectory, excluded] of table) {
  test(`${pattern} ${excluded ? 'leaves out' : 'keeps'} ${path}${isDirectory ? '/' : ''}`, () => {
    assert.equal(excludeBy([pattern])(path, isDirectory), excluded);
  });
}

for (const pattern of ['/', '[abc', '//']) {
  test(`the pattern ${pattern} is refused by name`, () => {
    assert.throws(
      () => excludeBy([pattern]),
      (err: Error) => err.message.includes(`"${pattern}"`),
    );
  });
}
