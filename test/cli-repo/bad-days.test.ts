/** Bad days of `muster repo`: killed, interrupted, sources that change, bytes that flip. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { noise } from '../backup/engine/world.ts';
import { restic, skipWithoutRestic, tryRestic } from '../backup/repository/support/restic.ts';
import { eventually } from '../support/eventually.ts';
import { createPlace, filesIn, lineOf, linesOf, type Place, type Running } from './support/muster.ts';

const options = { timeout: 120_000, skip: skipWithoutRestic };
const mib = 2 ** 20;

/**
 * A source of so much that there is time to end its backup. Made once and before all tests: to make it stops whatever
 * else this process does, and a backup that another test waits to end would be done meanwhile.
 */
const large = mkdtempSync(path.join(tmpdir(), 'muster-bad-days-'));
const largeFile = (i: number): string => path.join(large, `large ${i}`);
before(() => {
  for (let i = 0; i < 4; i++) writeFileSync(largeFile(i), noise(32 * mib, i + 1));
});
after(() => rmSync(large, { recursive: true, force: true }));

/** A backup of it that has written something when this resolves. */
async function backupUnderWay(place: Place): Promise<Running> {
  const running = place.start(['backup', large]);
  await eventually('it has written packs', () => filesIn(place, 'data').length >= 2);
  return running;
}

const bytesOfPacks = (place: Place): number =>
  filesIn(place, 'data').reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

// Most of a command is waiting and work of one core.
describe('bad days', { concurrency: 2 }, () => {
  test('a backup that is killed is finished by the next one, which takes over what was written', options, async (t) => {
    const place = await createPlace(t);
    const running = await backupUnderWay(place);
    running.child.kill('SIGKILL');
    assert.equal((await running.ended).signal, 'SIGKILL');
    assert.deepEqual([filesIn(place, 'locks').length, filesIn(place, 'snapshots').length], [1, 0]);
    const left = filesIn(place, 'data').length;

    const summary = lineOf(await place.json(['backup', large]), 'summary');
    assert.equal(summary['kind'], 'complete');
    assert.equal(summary['adopted_packs'], left);
    assert.deepEqual(filesIn(place, 'locks'), []);
    assert.ok(bytesOfPacks(place) < 132 * mib, 'nothing is stored twice');
    const checked = await restic(place.repo, ['check', '--read-data']);
    assert.match(checked, /no errors were found/);
    assert.doesNotMatch(checked, /not referenced/);
  });

  test(
    'Ctrl-C, also sent twice at once as npx does, leaves no lock, says how to go on, and the next backup does',
    options,
    async (t) => {
      const place = await createPlace(t);
      const running = await backupUnderWay(place);
      running.child.kill('SIGINT');
      running.child.kill('SIGINT');
      const { code, stderr } = await running.ended;
      assert.equal(code, 130);
      assert.match(stderr, /stopping … .*\nstopped: no snapshot was saved.*run the same command again/);
      assert.deepEqual([filesIn(place, 'locks'), filesIn(place, 'snapshots')], [[], []]);
      await place.done(['backup', large]);
      assert.equal((await tryRestic(place.repo, ['check'])).code, 0);
      const target = path.join(place.dir, 'restored');
      await place.done(['restore', `latest:${large}`, '-t', target]);
      assert.ok(readFileSync(path.join(target, 'large 3')).equals(readFileSync(largeFile(3))));
    },
  );

  test(
    'a file that changes while it is read makes the snapshot partial: exit code 3, and the file is named',
    options,
    async (t) => {
      const place = await createPlace(t);
      writeFileSync(place.at('calm'), 'calm');
      writeFileSync(place.at('restless'), noise(48 * mib));
      const writing = setInterval(() => appendFileSync(place.at('restless'), 'more'), 1);
      const ended = await place.muster(['backup', place.source]).finally(() => clearInterval(writing));
      assert.equal(ended.code, 3);
      assert.ok(ended.stderr.includes(`${place.at('restless')}: changed while it was read\n`), ended.stderr);
      assert.match(ended.stdout, /snapshot [0-9a-f]{8} saved, but it is partial: 1 problem, named above\n$/);
      await restic(place.repo, ['check', '--read-data']);
    },
  );

  test('a file that cannot be read is named, also to programs; the rest is saved', options, async (t) => {
    const place = await createPlace(t);
    writeFileSync(place.at('good'), 'good');
    // Reading the memory of a process from address 0 on is an error even for root.
    const bad = `/proc/${process.pid}/mem`;
    const { code, stdout } = await place.muster(['backup', place.source, bad, '--json']);
    const lines = linesOf(stdout);
    assert.equal(code, 3);
    assert.deepEqual([lineOf(lines, 'error')['item'], lineOf(lines, 'error')['kind']], [bad, 'unreadable']);
    assert.deepEqual([lineOf(lines, 'summary')['kind'], lineOf(lines, 'summary')['error_count']], ['partial', 1]);
    assert.match(await place.done(['ls', 'latest']), /\/good\n/);
  });

  test('a flipped byte is found, and the pack and the file that it hurts are named', options, async (t) => {
    const place = await createPlace(t);
    writeFileSync(place.at('hurt'), noise(3 * mib));
    await place.done(['backup', place.source]);
    const [pack] = filesIn(place, 'data').toSorted((a, b) => b.sizeBytes - a.sizeBytes);
    const bytes = readFileSync(pack!.path);
    bytes[1_000_000]! ^= 1;
    rmSync(pack!.path);
    writeFileSync(pack!.path, bytes);

    await place.done(['check']);
    const found = await place.muster(['check', '--read-data']);
    assert.equal(found.code, 1);
    assert.ok(found.stdout.includes(path.relative(place.repo, pack!.path)), found.stdout);
    assert.ok(found.stdout.includes(`: ${place.at('hurt')}: `), found.stdout);
    assert.match(found.stderr, /REPOSITORY_DAMAGED: 1 wrong file of the repository, 1 file of snapshots hurt/);

    const restored = await place.muster(['restore', `latest:${place.source}`, '-t', path.join(place.dir, 'restored')]);
    assert.equal(restored.code, 1);
    assert.match(restored.stderr, /^\/hurt: .*RESTORE_FAILED/s);
  });
});
