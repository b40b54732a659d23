import { MusterError } from '../../../workflows/engine/errors.ts';
import { addKey, openWithPassword, type OpenKey } from './keys.ts';
import type { ScryptParameters } from './scrypt.ts';
import { damaged, type RepositoryStore } from './store.ts';

export interface NewPassword {
  readonly password: string;
  /** Calibrated to half a second when not given. */
  readonly scrypt?: ScryptParameters;
}

/**
 * Replaces the key in use by one for another password: adds it, opens the repository with it, removes the old one. So
 * at every moment one of the two passwords opens the repository, and a rotation that was cut off is gone on with by the
 * next one. What the repository holds is not written again: whoever has copied the old key file and knows its password
 * goes on reading, and only a new repository changes that.
 * @returns the key in use from now on @throws MusterError CONFIG_INVALID for an empty password, REPOSITORY_DAMAGED
 */
export async function rotateKey(store: RepositoryStore, inUse: OpenKey, next: NewPassword): Promise<OpenKey> {
  const opened = (await earlierOne(store, inUse, next)) ?? (await newOne(store, inUse, next));
  await store.remove('key', inUse.name);
  return opened;
}

/** The key that a rotation added which was cut off before it removed the old one. */
async function earlierOne(store: RepositoryStore, inUse: OpenKey, { password }: NewPassword): Promise<OpenKey | null> {
  if (password === '') return null;
  try {
    const found = await openWithPassword(store, password);
    return found.name !== inUse.name && isSame(found, inUse) ? found : null;
  } catch (err) {
    if (err instanceof MusterError && ['REPOSITORY_KEY_WRONG', 'REPOSITORY_DAMAGED'].includes(err.code)) return null;
    throw err;
  }
}

async function newOne(store: RepositoryStore, inUse: OpenKey, { password, scrypt }: NewPassword): Promise<OpenKey> {
  const name = await addKey(store, { masterKey: inUse.masterKey, password, scrypt });
  const opened = await openWithPassword(store, password, name);
  if (!isSame(opened, inUse)) {
    throw damaged(store, 'key', name, 'does not open the repository with the password it was just made for');
  }
  return opened;
}

function isSame(a: OpenKey, b: OpenKey): boolean {
  return (['encrypt', 'macK', 'macR'] as const).every(
    (part) => Buffer.compare(a.masterKey[part], b.masterKey[part]) === 0,
  );
}
