import { MusterError } from '../../../workflows/engine/errors.ts';
import { repositoryOver, type Repository } from './attach.ts';
import { createConfig, loadConfig } from './config.ts';
import { addKey, openWithPassword } from './keys.ts';
import { openStore } from './open-store.ts';
import type { ScryptParameters } from './scrypt.ts';
import { createSealer, randomMasterKey } from './sealing.ts';
import { configName, type RepositoryStore, type StoreAddress } from './store.ts';

export interface OpenOptions {
  readonly address: StoreAddress;
  readonly password: string;
}

export interface InitOptions extends OpenOptions {
  /** The cost of deriving a key from the password; calibrated to half a second when not given. */
  readonly scrypt?: ScryptParameters;
}

/**
 * Makes an empty repository. The key is written before the config, so that what a crash leaves is no repository yet;
 * its key is of no use and may be removed by hand.
 * @throws MusterError REPOSITORY_EXISTS
 */
export async function initRepository({ address, password, scrypt }: InitOptions): Promise<Repository> {
  const store = await openStore(address);
  if (await isTaken(store))
    throw new MusterError('REPOSITORY_EXISTS', `there is a repository at ${store.place} already`);
  const masterKey = randomMasterKey();
  const keyName = await addKey(store, { masterKey, password, scrypt });
  const config = await createConfig({ store, sealer: createSealer(masterKey) });
  return repositoryOver({ address, config, keyName, masterKey }, store);
}

/** @throws MusterError REPOSITORY_MISSING, REPOSITORY_KEY_WRONG, REPOSITORY_UNSUPPORTED, REPOSITORY_DAMAGED */
export async function openRepository({ address, password }: OpenOptions): Promise<Repository> {
  const store = await openStore(address);
  try {
    const { name, masterKey } = await openWithPassword(store, password);
    const config = await loadConfig({ store, sealer: createSealer(masterKey) });
    return repositoryOver({ address, config, keyName: name, masterKey }, store);
  } catch (err) {
    await store.close();
    throw err;
  }
}

/** Without a config there is no repository, but keys without one belong to somebody, too. */
async function isTaken(store: RepositoryStore): Promise<boolean> {
  if ((await store.sizeOf('config', configName)) !== null) return true;
  for await (const _ of store.list('key')) return true;
  return false;
}
