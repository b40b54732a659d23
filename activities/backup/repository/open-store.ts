import { openDirectoryStore } from './directory-store.ts';
import type { RepositoryStore, StoreAddress } from './store.ts';

/** Opens the store that an address names, in this thread. Touches nothing until it is used. */
export async function openStore(address: StoreAddress): Promise<RepositoryStore> {
  switch (address.kind) {
    case 'directory':
      return openDirectoryStore(address.path);
    case 'objects':
      // Threads that work on a directory need no client of object stores, which takes time to load.
      return (await import('./objects-store.ts')).openObjectsStore(address.place, address.retention);
  }
}
