import { MusterError } from '../../../workflows/engine/errors.ts';
import { type RepositoryConfig } from './config.ts';
import { type ScryptParameters } from './keys.ts';
import { type MasterKey, type Sealer } from './sealing.ts';
import { type RepositoryStore, type StoreAddress } from './store.ts';

/**
 * An open repository, in one thread. CPU work is synchronous; what threads share is the blob table, and the handle
 * from which each opens the repository for itself without asking for the password again.
 */
export interface Repository {
  readonly store: RepositoryStore;
  readonly config: RepositoryConfig;
  /** The file name of the key that opened it. */
  readonly keyName: string;
  readonly sealer: Sealer;
  /** Structured-cloneable. It holds the master key: it may go to threads of this process, and nowhere else. */
  describe(): RepositoryHandle;
  close(): Promise<void>;
}

export interface RepositoryHandle {
  readonly address: StoreAddress;
  readonly config: RepositoryConfig;
  readonly keyName: string;
  readonly masterKey: MasterKey;
}

export interface InitOptions {
  readonly address: StoreAddress;
  readonly password: string;
  /** The cost of deriving a key from the password; calibrated to half a second when not given. */
  readonly scrypt?: ScryptParameters;
}

/** Makes an empty repository. @throws MusterError REPOSITORY_EXISTS */
export function initRepository(_options: InitOptions): Promise<Repository> {
  throw new MusterError('INTERNAL', 'not built yet');
}

/** @throws MusterError REPOSITORY_MISSING, REPOSITORY_KEY_WRONG, REPOSITORY_UNSUPPORTED, REPOSITORY_DAMAGED */
export function openRepository(_options: { address: StoreAddress; password: string }): Promise<Repository> {
  throw new MusterError('INTERNAL', 'not built yet');
}

/** Opens a repository that another thread described; reads nothing. */
export function attachRepository(_handle: RepositoryHandle): Promise<Repository> {
  throw new MusterError('INTERNAL', 'not built yet');
}
