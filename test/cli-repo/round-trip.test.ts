/** `muster repo` against stock restic, both ways: what the one saves, the other checks and restores. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { noise } from '../backup/engine/world.ts';
import { restic, skipWithoutRestic } from '../backup/repository/support/restic.ts';
import { createPlace, emptyPlace, lineOf } from './support/muster.ts';
import { assertSameTree, fillSource, holesBytes } from './support/trees.ts';

const options = { timeout: 120_000 };

// Most of a command is waiting and work of one core.
describe('muster repo and restic', { concurrency: 2 }, () => {
  test('what muster saves, muster and stock restic restore, whatever it is', options, async (t) => {
    const place = emptyPlace(t);
    fillSource(place);
    const made = lineOf(await place.json(['init']), 'initialized');
    assert.equal(made['repository'], place.repo);
    const saved = lineOf(await place.json(['backup', place.source, '--tag', 'first,odd']), 'summary');
    assert.equal(saved['kind'], 'complete');

    const [snapshot] = JSON.parse(await place.done(['snapshots', '--json'])) as Record<string, unknown>[];
    assert.deepEqual([snapshot?.['id'], snapshot?.['tags']], [saved['snapshot_id'], ['first', 'odd']]);
    const listed = await place.json(['ls', 'latest']);
    assert.ok(listed.some((line) => line['path'] === place.at('deep', 'er', 'est', 'small') && line['size'] === 5));
    assert.ok(listed.some((line) => line['type'] === 'fifo'));

    const ours = path.join(place.dir, 'ours');
    const restored = lineOf(await place.json(['restore', `latest:${place.source}`, '-t', ours, '--sparse']), 'summary');
    assert.deepEqual([restored['kind'], restored['error_count']], ['complete', 0]);
    assertSameTree(ours, place.source);
    const { blocks, size } = statSync(path.join(ours, 'sparse'));
    assert.equal(size, holesBytes);
    // Only what is cut as a piece of zeros becomes a hole.
    assert.ok(blocks * 512 < (holesBytes * 3) / 4, `${blocks} blocks`);

    await t.test('stock restic finds no fault and restores the same', { skip: skipWithoutRestic }, async () => {
      await restic(place.repo, ['check', '--read-data']);
      const theirs = path.join(place.dir, 'theirs');
      await restic(place.repo, ['restore', 'latest', '--target', theirs]);
      assertSameTree(path.join(theirs, place.source), place.source);
    });
  });

  test('a second backup of the same adds nothing, and one of a change adds that', options, async (t) => {
    const place = await createPlace(t);
    writeFileSync(place.at('large'), noise(5 * 2 ** 20));
    writeFileSync(place.at('small'), 'small');
    const first = lineOf(await place.json(['backup', place.source]), 'summary');
    assert.deepEqual([first['files_new'], first['files_unmodified']], [2, 0]);
    const second = lineOf(await place.json(['backup', 'source']), 'summary');
    assert.deepEqual([second['files_unmodified'], second['data_blobs']], [2, 0]);
    // The folders above the source belong to others, and their times to the snapshot.
    assert.ok((second['data_added'] as number) < 2_000, `${String(second['data_added'])} bytes`);
    const forced = lineOf(await place.json(['backup', place.source, '--force']), 'summary');
    assert.deepEqual([forced['files_new'], forced['data_blobs']], [2, 0], 'read again, and known by its content');
    writeFileSync(place.at('small'), 'changed');
    const third = lineOf(await place.json(['backup', place.source]), 'summary');
    assert.deepEqual([third['files_changed'], third['files_unmodified'], third['data_blobs']], [1, 1, 1]);
  });

  test(
    'what restic saved into the same repository, muster lists and restores',
    { ...options, skip: skipWithoutRestic },
    async (t) => {
      const place = await createPlace(t);
      fillSource(place);
      await restic(place.repo, ['backup', '--tag', 'theirs', place.source]);
      assert.match(await place.done(['snapshots', '--tag', 'theirs']), /\b[0-9a-f]{8} .* theirs .*\n1 snapshot\n$/s);
      const target = path.join(place.dir, 'restored');
      await place.done(['restore', `latest:${place.source}`, '--target', target]);
      assertSameTree(target, place.source);
      const mine = lineOf(await place.json(['backup', place.source]), 'summary');
      assert.deepEqual([mine['data_blobs'], mine['files_new']], [0, 0], 'nothing is stored twice, nor read again');
    },
  );

  test('what lies behind a symbolic link on the way is saved', options, async (t) => {
    const place = await createPlace(t);
    mkdirSync(place.at('real'));
    writeFileSync(place.at('real', 'file'), 'behind the link');
    symlinkSync('real', place.at('link'));
    const summary = lineOf(await place.json(['backup', place.at('link', 'file')]), 'summary');
    assert.equal(summary['total_files_processed'], 1);
    const target = path.join(place.dir, 'restored');
    await place.done(['restore', 'latest', '-t', target]);
    assert.equal(readFileSync(path.join(target, place.at('real', 'file')), 'utf8'), 'behind the link');
  });

  test('a target that is a link to a directory is followed, and one that is a file stays one', options, async (t) => {
    const place = await createPlace(t);
    writeFileSync(place.at('file'), 'saved');
    await place.done(['backup', place.source]);
    const at = (name: string): string => path.join(place.dir, name);
    mkdirSync(at('disk'));
    symlinkSync('disk', at('link'));
    await place.done(['restore', `latest:${place.source}`, '-t', at('link')]);
    assert.ok(lstatSync(at('link')).isSymbolicLink());
    assert.equal(readFileSync(path.join(at('disk'), 'file'), 'utf8'), 'saved');
    writeFileSync(at('report'), 'of mine');
    const refused = await place.muster(['restore', 'latest', '-t', at('report')]);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /CONFIG_INVALID: the target .*report is no directory; nothing was changed/);
    assert.equal(readFileSync(at('report'), 'utf8'), 'of mine');
  });

  test('a part of a snapshot can be restored, and files that are there be left alone', options, async (t) => {
    const place = await createPlace(t);
    for (const name of ['keep.txt', 'drop.log', 'other.txt']) writeFileSync(place.at(name), name);
    await place.done(['backup', place.source, '--exclude', '*.log']);
    const target = path.join(place.dir, 'restored');
    await place.done(['restore', 'latest', '-t', target, '--include', 'keep.txt']);
    const restored = path.join(target, place.source);
    assert.equal(readFileSync(path.join(restored, 'keep.txt'), 'utf8'), 'keep.txt');
    assert.throws(() => lstatSync(path.join(restored, 'other.txt')), { code: 'ENOENT' });

    writeFileSync(path.join(restored, 'keep.txt'), 'of mine!');
    const never = lineOf(await place.json(['restore', 'latest', '-t', target, '--overwrite', 'never']), 'summary');
    assert.deepEqual([never['files_restored'], never['files_skipped']], [1, 1]);
    assert.equal(readFileSync(path.join(restored, 'keep.txt'), 'utf8'), 'of mine!');
    const changed = lineOf(
      await place.json(['restore', 'latest', '-t', target, '--overwrite', 'if-changed']),
      'summary',
    );
    assert.deepEqual([changed['files_restored'], changed['files_skipped']], [1, 1]);
    assert.equal(readFileSync(path.join(restored, 'keep.txt'), 'utf8'), 'keep.txt');
    assert.throws(() => lstatSync(path.join(restored, 'drop.log')), { code: 'ENOENT' });
  });

  test(
    'a mirror is a repository of its own, which restic reads without the first one',
    { ...options, skip: skipWithoutRestic },
    async (t) => {
      const place = await createPlace(t);
      writeFileSync(place.at('file'), noise(100_000));
      await place.done(['backup', place.source]);
      const to = path.join(place.dir, 'mirror');
      const first = lineOf(await place.json(['mirror', to]), 'summary');
      const again = lineOf(await place.json(['mirror', to, '--remove']), 'summary');
      assert.ok((first['files_copied'] as number) > 3);
      assert.deepEqual([again['files_copied'], again['files_removed']], [0, 0]);
      renameSync(place.repo, `${place.repo}.gone`);
      await restic(to, ['check', '--read-data']);
      const theirs = path.join(place.dir, 'theirs');
      await restic(to, ['restore', 'latest', '--target', theirs]);
      const restored = readFileSync(path.join(theirs, place.at('file')));
      assert.equal(hash('sha256', restored), hash('sha256', noise(100_000)));
    },
  );
});
