/** Looking after a repository with `muster repo`: forget, prune, keys. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { noise } from '../backup/engine/world.ts';
import { password } from '../backup/repository/support/repositories.ts';
import { restic, skipWithoutRestic } from '../backup/repository/support/restic.ts';
import { createPlace, filesIn, lineOf, linesOf } from './support/muster.ts';

const options = { timeout: 120_000, skip: skipWithoutRestic };

// Most of a command is waiting and work of one core.
describe('looking after a repository', { concurrency: 2 }, () => {
  test(
    'forget keeps what the policy says, prune gives the space back, and restic finds no fault',
    options,
    async (t) => {
      const place = await createPlace(t);
      for (const seed of [1, 2, 3]) {
        writeFileSync(place.at('file'), noise(3 * 2 ** 20, seed));
        await place.done(['backup', place.source]);
      }
      const bytes = (): number => filesIn(place, 'data').reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const before = bytes();
      const planned = await place.done(['forget', '--keep-last', '1', '--dry-run']);
      assert.match(planned, /would forget 2 snapshots\n$/);
      assert.equal(filesIn(place, 'snapshots').length, 3);

      const [groups, ...rest] = await place.json(['forget', '--keep-last', '1', '--prune']);
      const [group] = groups as unknown as { keep: unknown[]; remove: { id: string }[] }[];
      assert.deepEqual([group?.keep.length, group?.remove.length], [1, 2]);
      const removed = rest.find((line) => 'snapshots_removed' in line);
      assert.deepEqual(
        removed?.['snapshots_removed'],
        group?.remove.map(({ id }) => id),
      );
      assert.ok(bytes() < before / 2, `${bytes()} of ${before}`);
      await restic(place.repo, ['check', '--read-data']);
      const left = JSON.parse(await restic(place.repo, ['snapshots', '--json'])) as unknown[];
      assert.equal(left.length, 1);
    },
  );

  test('a policy that would leave nothing of a group is refused, and nothing is forgotten', options, async (t) => {
    const place = await createPlace(t);
    writeFileSync(place.at('file'), 'file');
    await place.done(['backup', place.source]);
    const { code, stderr } = await place.muster(['forget', '--keep-tag', 'none has this']);
    assert.equal(code, 1);
    assert.match(stderr, /RETENTION_UNSAFE: .*\/source/);
    assert.equal(filesIn(place, 'snapshots').length, 1);

    const [snapshot] = linesOf(await place.done(['snapshots', '--json'])) as unknown as { short_id: string }[][];
    assert.match(await place.done(['forget', snapshot![0]!.short_id]), /^forgot 1 snapshot;/);
    assert.deepEqual(filesIn(place, 'snapshots'), []);
  });

  test('passwords are added, changed and taken away, and restic knows them, too', options, async (t) => {
    const place = await createPlace(t);
    const [second, third] = ['second', 'third'].map((name) => path.join(place.dir, name)) as [string, string];
    writeFileSync(second, 'the second\n');
    writeFileSync(third, 'the third\n');
    const added = lineOf(await place.json(['key', 'add', '--new-password-file', second, '--user', 'eve']), 'key_added');
    await restic(place.repo, ['snapshots'], { password: 'the second' });
    const listed = JSON.parse(await place.done(['key', 'list', '--json'])) as Record<string, unknown>[];
    assert.deepEqual(
      listed.map((key) => [key['current'], key['userName'] === 'eve']),
      [
        [true, false],
        [false, true],
      ],
    );
    const changed = await place.muster(['key', 'rotate', '--new-password-command', `cat ${third}`], {
      RESTIC_PASSWORD: 'the second',
    });
    assert.equal(changed.code, 0, changed.stderr);
    assert.equal((await place.muster(['snapshots'], { RESTIC_PASSWORD: 'the second' })).code, 1);
    await restic(place.repo, ['snapshots'], { password: 'the third' });

    const inUse = await place.muster(['key', 'remove', listed[0]!['id'] as string]);
    assert.deepEqual(
      [inUse.code, /opened the repository just now and stays: .* password of another key/.test(inUse.stderr)],
      [2, true],
    );
    assert.ok(!filesIn(place, 'keys').some((file) => file.path.endsWith(added['id'] as string)));
    const removed = await place.muster(['key', 'remove', listed[0]!['id'] as string], { RESTIC_PASSWORD: 'the third' });
    assert.equal(removed.code, 0, removed.stderr);
    assert.equal((await place.muster(['snapshots'], { RESTIC_PASSWORD: password })).code, 1);
  });
});
