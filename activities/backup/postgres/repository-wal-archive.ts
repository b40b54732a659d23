import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Repository } from '../repository/attach.ts';
import { openWal, sealWal } from './sealed-wal.ts';
import type { WalArchive } from './wal-archive.ts';
import { bytesContent, readAll } from './wal-content.ts';
import { isWalName } from './wal-name.ts';

/** Whose WAL. A database that was made anew is another system, with an archive of its own beside that of the old one. */
export interface WalOwner {
  service: string;
  resource: string;
  systemId: string;
}

const root = 'wal/';

/** Where the archives of a database lie among a repository's side objects. */
export function walFolder({ service, resource }: Omit<WalOwner, 'systemId'>): string {
  return `${root}${service}/${resource}/`;
}

/**
 * The archive of a database's WAL inside a backup repository, beside restic's files: no snapshot, no lock, and no prune
 * knows of it. Each file is one side object, compressed and sealed (`sealed-wal.ts`).
 * Reading throws REPOSITORY_DAMAGED for an object that is not what its name says.
 */
export function openRepositoryWalArchive(repository: Repository, owner: WalOwner): WalArchive {
  const { store, sealer } = repository;
  const folder = `${walFolder(owner)}${owner.systemId}/`;

  async function get(name: string): Promise<AsyncIterable<Buffer> | null> {
    const sealed = await store.side.get(folder + name);
    if (sealed === null) return null;
    const opened = await openWal(sealer, name, sealed);
    if (opened.kind === 'whole') return bytesContent(opened.bytes).read();
    throw new MusterError('REPOSITORY_DAMAGED', `${folder}${name} ${opened.why} (repository ${store.place})`);
  }

  return {
    place: `the WAL of ${owner.service}/${owner.resource} in ${store.place}`,
    get,
    async *list() {
      for await (const name of store.side.list(folder)) {
        const own = name.slice(folder.length);
        if (isWalName(own)) yield own;
      }
    },
    async create(name, content) {
      const sealed = await sealWal(sealer, name, await readAll(content.read()));
      return (await store.side.put(folder + name, sealed, { onlyNew: true })) === 'written' ? 'created' : 'exists';
    },
    async replace(name, content) {
      if (!name.endsWith('.partial')) throw new MusterError('INTERNAL', `${name} may not be replaced`);
      await store.side.put(folder + name, await sealWal(sealer, name, await readAll(content.read())));
    },
    remove: (name) => store.side.remove(folder + name),
  };
}

/** Systems of which there is WAL of a database. */
export async function archivedSystems(repository: Repository, database: Omit<WalOwner, 'systemId'>): Promise<string[]> {
  const folder = walFolder(database);
  const found = new Set<string>();
  for await (const name of repository.store.side.list(folder)) {
    const [systemId = ''] = name.slice(folder.length).split('/');
    if (/^\d+$/.test(systemId)) found.add(systemId);
  }
  return [...found].toSorted();
}
