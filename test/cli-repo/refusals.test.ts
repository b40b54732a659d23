/** What `muster repo` does not do, and how clearly it says so: one line, a hint, an exit code. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openRepository } from '../../activities/backup/repository/repository.ts';
import { acquireLock } from '../../activities/backup/repository/lock.ts';
import { directoryAddress, password } from '../backup/repository/support/repositories.ts';
import { eventually } from '../support/eventually.ts';
import { createPlace, filesIn, linesOf, type Place } from './support/muster.ts';

const options = { timeout: 120_000 };

interface Refusal {
  name: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  code: number;
  says: RegExp;
}
const refusals: Refusal[] = [
  {
    name: 'a wrong password',
    args: ['snapshots'],
    env: { RESTIC_PASSWORD: 'wrong' },
    code: 1,
    says: /^muster: REPOSITORY_KEY_WRONG: .*vault\n {2}\S.*\n$/,
  },
  {
    name: 'a repository that is not there',
    args: ['snapshots', '--repo', 'nowhere'],
    code: 1,
    says: /REPOSITORY_MISSING: .*nowhere/,
  },
  { name: 'to make a repository where there is one', args: ['init'], code: 1, says: /REPOSITORY_EXISTS: .*vault/ },
  {
    name: 'work without knowing where',
    args: ['snapshots'],
    env: { MUSTER_REPOSITORY: '' },
    code: 2,
    says: /CONFIG_INVALID: which repository\? .*--repo/,
  },
  {
    name: 'work without a password and without a terminal to ask on',
    args: ['snapshots'],
    env: { RESTIC_PASSWORD: '' },
    code: 2,
    says: /SECRET_MISSING: .*--password-file/,
  },
  {
    name: 'a password file that is not there',
    args: ['snapshots', '--password-file', 'nowhere'],
    code: 2,
    says: /SECRET_MISSING: .*nowhere.*--password-file/,
  },
  {
    name: 'a source that is not there',
    args: ['backup', 'nowhere'],
    code: 1,
    says: /SOURCE_UNREADABLE: .*nowhere.*ENOENT/,
  },
  {
    name: 'a bucket as a source',
    args: ['backup', 's3://shop/receipts'],
    code: 2,
    says: /CONFIG_INVALID: s3:\/\/shop\/receipts is a bucket: .*muster copy/,
  },
  { name: 'no source', args: ['backup'], code: 2, says: /missing required argument 'paths'/ },
  { name: 'a restore to nowhere', args: ['restore', 'latest'], code: 2, says: /--target/ },
  {
    name: 'an unknown snapshot',
    args: ['restore', 'abc', '-t', 'x'],
    code: 1,
    says: /SNAPSHOT_UNKNOWN: no snapshot has an id that begins with "abc" in /,
  },
  { name: 'to forget without a policy', args: ['forget'], code: 2, says: /CONFIG_INVALID: .*--keep/ },
  {
    name: 'a wait that is no time',
    args: ['prune', '--lock-wait', 'long'],
    code: 2,
    says: /--lock-wait must be a duration/,
  },
  { name: 'an unknown command', args: ['bakcup', 'source'], code: 2, says: /unknown command 'bakcup'.*backup/s },
];

// Most of a refusal is the start of a process.
test('muster repo refuses', { ...options, concurrency: 2 }, async (t) => {
  const place = await createPlace(t);
  const all = refusals.map(({ name, args, env, code, says }) =>
    t.test(name, async () => {
      const ended = await place.muster(args, env);
      assert.deepEqual([ended.code, ended.stdout], [code, '']);
      assert.match(ended.stderr, says);
    }),
  );
  await Promise.all(all);
});

test('a refusal is one JSON line for a program', options, async (t) => {
  const place = await createPlace(t);
  const { code, stdout, stderr } = await place.muster(['snapshots', '--json'], { RESTIC_PASSWORD: 'wrong' });
  const [line, ...more] = linesOf(stdout);
  assert.deepEqual([code, stderr, more], [1, '', []]);
  assert.deepEqual([line?.['message_type'], line?.['code']], ['exit_error', 1]);
  const { code: name } = line!['error'] as { code: string };
  assert.equal(name, 'REPOSITORY_KEY_WRONG');
});

async function lockedBy(place: Place): Promise<() => Promise<void>> {
  const repository = await openRepository({ address: directoryAddress(place.repo), password });
  const lock = await acquireLock(repository, { exclusive: true });
  return async () => {
    await lock.release();
    await repository.close();
  };
}

test('a repository that a live process holds is not touched, and who holds it is named', options, async (t) => {
  const place = await createPlace(t);
  writeFileSync(place.at('file'), 'file');
  const release = await lockedBy(place);
  const refused = await place.muster(['backup', place.source]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /REPOSITORY_LOCKED/);
  assert.ok(refused.stderr.includes(`@${hostname()} (process ${process.pid}, exclusive)`), refused.stderr);
  assert.deepEqual([filesIn(place, 'data').length, filesIn(place, 'locks').length], [0, 1]);

  const unlocked = await place.done(['unlock']);
  assert.match(unlocked, /left the lock of .* it is in use\n0 locks removed\n/);

  const waiting = place.start(['backup', place.source, '--lock-wait', '60s']);
  await eventually('it says whom it waits for', () => waiting.said().includes(`waiting for`));
  await release();
  assert.equal((await waiting.ended).code, 0);
  assert.deepEqual(filesIn(place, 'locks'), []);
});

test('Ctrl-C ends the waiting for a lock', options, async (t) => {
  const place = await createPlace(t);
  const release = await lockedBy(place);
  const waiting = place.start(['prune', '--lock-wait', '10m']);
  await eventually('it waits', () => waiting.said().includes('waiting for'));
  waiting.child.kill('SIGINT');
  const { code, stderr } = await waiting.ended;
  assert.equal(code, 130);
  assert.match(stderr, /stopped: nothing was changed/);
  await release();
  assert.deepEqual(filesIn(place, 'locks'), []);
});

test('options may stand before the command, and a password may come from a command', options, async (t) => {
  const place = await createPlace(t);
  writeFileSync(path.join(place.dir, 'password'), `${password}\n`);
  const args = ['-r', 'vault', '--password-command', 'cat password', '-q', 'snapshots', '--json'];
  const { code, stdout } = await place.muster(args, { MUSTER_REPOSITORY: '', RESTIC_PASSWORD: '' });
  assert.deepEqual([code, stdout], [0, '[]\n']);
});
