import type { RepositoryConfig } from './config.ts';
import type { BlobTools } from './blob.ts';
import { openStore } from './open-store.ts';
import { createSealer, type MasterKey } from './sealing.ts';
import type { RepositoryStore, StoreAddress } from './store.ts';
import { createZstd } from '../kernels/zstd.ts';

/**
 * An open repository, in one thread. CPU work is synchronous; what threads share is the blob table, and the handle
 * from which each opens the repository for itself without asking for the password again.
 */
export interface Repository extends BlobTools {
  readonly store: RepositoryStore;
  readonly config: RepositoryConfig;
  /** The file name of the key that opened it. */
  readonly keyName: string;
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

/** Opens a repository that another thread described; reads nothing. */
export async function attachRepository(handle: RepositoryHandle): Promise<Repository> {
  return repositoryOver(handle, await openStore(handle.address));
}

/** On real trees it stores as much as restic's `auto`, give or take a few percent, and costs much less than level 3. */
const blobLevel = 2;

export function repositoryOver(handle: RepositoryHandle, store: RepositoryStore): Repository {
  return {
    store,
    config: handle.config,
    keyName: handle.keyName,
    sealer: createSealer(handle.masterKey),
    zstd: createZstd({ level: blobLevel }),
    describe: () => handle,
    close: () => store.close(),
  };
}
