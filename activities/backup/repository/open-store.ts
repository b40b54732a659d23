import { MusterError } from '../../../workflows/engine/errors.ts';
import { openDirectoryStore } from './directory-store.ts';
import type { RepositoryStore, StoreAddress } from './store.ts';

/** Opens the store that an address names, in this thread. Touches nothing until it is used. */
export async function openStore(address: StoreAddress): Promise<RepositoryStore> {
  switch (address.kind) {
    case 'directory':
      return openDirectoryStore(address.path);
    case 'objects':
      throw new MusterError('INTERNAL', 'repositories in buckets are not built yet');
  }
}
