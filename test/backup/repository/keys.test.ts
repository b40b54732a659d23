import assert from 'node:assert/strict';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MusterError, type ErrorCode } from '../../../workflows/engine/errors.ts';
import { addKey, listKeys, openWithPassword, removeKey } from '../../../activities/backup/repository/keys.ts';
import { initRepository, openRepository } from '../../../activities/backup/repository/repository.ts';
import { rotateKey } from '../../../activities/backup/repository/rotate-key.ts';
import type { RepositoryStore } from '../../../activities/backup/repository/store.ts';
import { isIrreducible, randomPolynomial } from '../../../activities/backup/repository/polynomial.ts';
import { calibrateScrypt, refuseScrypt } from '../../../activities/backup/repository/scrypt.ts';
import { cheap, directoryAddress, initCheaply, password, writeSnapshot } from './support/repositories.ts';
import { restic, scratch, skipWithoutRestic, tryRestic } from './support/restic.ts';

const is = (code: ErrorCode) => (err: unknown) => err instanceof MusterError && err.code === code;

test('each password opens the repository, and none is in its files', async () => {
  await using at = scratch();
  const repository = await initCheaply(at.path);
  const { masterKey, keyName } = repository.describe();
  const names = [keyName];
  for (const other of ['second', 'dritter ä'])
    names.push(await addKey(repository.store, { masterKey, password: other, scrypt: cheap }));
  for (const [i, each] of [password, 'second', 'dritter ä'].entries()) {
    const opened = await openRepository({ address: directoryAddress(at.path), password: each });
    assert.deepEqual([opened.keyName, opened.describe().masterKey], [names[i], masterKey]);
    const key = await readFile(join(at.path, 'keys', names[i] as string), 'utf8');
    assert.ok(!key.includes(each) && !key.includes(Buffer.from(masterKey.encrypt).toString('base64')));
  }
  assert.deepEqual((await listKeys(repository.store)).map(({ name }) => name).toSorted(), names.toSorted());
});

test('neither the key in use is removed, nor one that is not clearly meant', async () => {
  await using at = scratch();
  const repository = await initCheaply(at.path);
  const { masterKey, keyName } = repository.describe();
  const inUse = { name: keyName, masterKey };
  await assert.rejects(removeKey(repository.store, inUse, keyName), {
    code: 'CONFIG_INVALID',
    message: `key ${keyName.slice(0, 8)} opened the repository just now and stays: to remove it, give the password of another key`,
  });
  const other = await addKey(repository.store, { masterKey, password: 'other', scrypt: cheap });
  await assert.rejects(removeKey(repository.store, inUse, ''), is('CONFIG_INVALID'));
  await assert.rejects(removeKey(repository.store, inUse, 'no such'), is('CONFIG_INVALID'));
  await removeKey(repository.store, inUse, other);
  await assert.rejects(openWithPassword(repository.store, 'other'), is('REPOSITORY_KEY_WRONG'));
  assert.equal((await openWithPassword(repository.store, password)).name, keyName);
});

test(
  'a rotated password opens the repository, for stock restic as well, and the old one does not',
  { skip: skipWithoutRestic },
  async () => {
    await using at = scratch();
    const repository = await initCheaply(at.path);
    await writeSnapshot(repository, { file: Buffer.from('kept') });
    const { masterKey, keyName } = repository.describe();
    const rotated = await rotateKey(repository.store, { name: keyName, masterKey }, { password: 'new', scrypt: cheap });
    assert.deepEqual(
      (await listKeys(repository.store)).map(({ name }) => name),
      [rotated.name],
    );
    await assert.rejects(openWithPassword(repository.store, password), is('REPOSITORY_KEY_WRONG'));
    assert.match(await restic(at.path, ['check', '--read-data'], { password: 'new' }), /no errors were found/);
    const refused = await tryRestic(at.path, ['snapshots'], { password });
    assert.match(refused.stderr, /wrong password or no key found/);
    const again = await rotateKey(repository.store, rotated, { password: 'new', scrypt: cheap });
    assert.notEqual(again.name, rotated.name, 'the same password gets a key of its own');
    await assert.rejects(rotateKey(repository.store, again, { password: '' }), is('CONFIG_INVALID'));
  },
);

/** A store that is cut off at the n-th change, before it happens or after. */
function cutOff(store: RepositoryStore, at: number, when: 'before' | 'after'): RepositoryStore {
  let changes = 0;
  const change = async (work: () => Promise<void>): Promise<void> => {
    changes += 1;
    if (changes > at || (changes === at && when === 'before')) throw new Error('cut off');
    await work();
    if (changes === at) throw new Error('cut off');
  };
  return {
    ...store,
    write: (...args) => change(() => store.write(...args)),
    remove: (...args) => change(() => store.remove(...args)),
  };
}

for (const step of [1, 2]) {
  for (const when of ['before', 'after'] as const) {
    test(`a rotation that is cut off ${when} its change ${step} leaves a password that opens, and is gone on with`, async () => {
      await using at = scratch();
      const repository = await initCheaply(at.path);
      const { masterKey, keyName } = repository.describe();
      const next = { password: 'new', scrypt: cheap };
      const cut = cutOff(repository.store, step, when);
      await assert.rejects(rotateKey(cut, { name: keyName, masterKey }, next), { message: 'cut off' });
      const old = await openWithPassword(repository.store, password).catch(() => null);
      if (old === null) assert.deepEqual([step, when], [2, 'after']);
      else await rotateKey(repository.store, old, next);
      const left = await openWithPassword(repository.store, 'new');
      assert.deepEqual(left.masterKey, masterKey);
      assert.deepEqual(
        (await listKeys(repository.store)).map(({ name }) => name),
        [left.name],
      );
    });
  }
}

test('a damaged key hinders nobody whose key is whole, and is named to who finds no other', async () => {
  await using at = scratch();
  const repository = await initCheaply(at.path);
  const { masterKey, keyName } = repository.describe();
  const other = await addKey(repository.store, { masterKey, password: 'other', scrypt: cheap });
  await chmod(join(at.path, 'keys', keyName), 0o600);
  await writeFile(join(at.path, 'keys', keyName), '{}');
  assert.equal((await openWithPassword(repository.store, 'other')).name, other);
  await assert.rejects(openWithPassword(repository.store, password), (err) => {
    assert.ok(is('REPOSITORY_DAMAGED')(err) && String(err).includes(`keys/${keyName}`));
    return true;
  });
});

test('a repository is made once, with a password, and is missing where there is none', async () => {
  await using at = scratch();
  const address = directoryAddress(join(at.path, 'repository'));
  await assert.rejects(openRepository({ address, password }), is('REPOSITORY_MISSING'));
  await assert.rejects(initRepository({ address, password: '', scrypt: cheap }), is('CONFIG_INVALID'));
  const first = await initRepository({ address, password, scrypt: cheap });
  await assert.rejects(initRepository({ address, password, scrypt: cheap }), is('REPOSITORY_EXISTS'));
  assert.deepEqual((await openRepository({ address, password })).config, first.config);
  await rm(join(at.path, 'repository', 'config'));
  await assert.rejects(openRepository({ address, password }), is('REPOSITORY_MISSING'));
  await assert.rejects(initRepository({ address, password, scrypt: cheap }), is('REPOSITORY_EXISTS'));
});

test("calibrated parameters are never below those of restic's floor", () => {
  const { N, r, p } = calibrateScrypt();
  assert.deepEqual([N, r], [32_768, 8]);
  assert.ok(p >= 1 && p <= 16);
});

const parameters = [
  { name: 'N of 0', scrypt: { N: 0, r: 8, p: 1 } },
  { name: 'N that is no power of two', scrypt: { N: 1000, r: 8, p: 1 } },
  { name: 'memory without measure', scrypt: { N: 2 ** 24, r: 64, p: 1 } },
  { name: 'fractions', scrypt: { N: 1024, r: 1.5, p: 1 } },
];
for (const { name, scrypt } of parameters) {
  test(`a key file that asks for ${name} is refused before it costs anything`, () =>
    assert.notEqual(refuseScrypt(scrypt), null));
}

test('random polynomials are irreducible of degree 53, and products of two are not', () => {
  const seen = new Set(Array.from({ length: 20 }, randomPolynomial));
  assert.equal(seen.size, 20);
  for (const polynomial of seen) assert.match(polynomial, /^[23][0-9a-f]{13}$/);
  // The polynomial that restic's own tests use.
  assert.ok(isIrreducible(0x3da3358b4dc173n));
  for (const reducible of [0x3da3358b4dc172n, 0x20000000000001n, 0x3da3358b4dc173n << 1n, 0x7n]) {
    assert.ok(!isIrreducible(reducible), reducible.toString(16));
  }
});
