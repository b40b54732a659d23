import { MusterError } from '../../../workflows/engine/errors.ts';
import type { ObjectClient } from '../../objects/types.ts';
import { objectsBelow, orNull } from './objects-calls.ts';
import { checkSideName, type SideStore } from './store.ts';

/** Muster's own objects in a bucket, below one prefix. */
export function createObjectsSide(client: ObjectClient, prefix: string): SideStore {
  let conditional: Promise<void> | null = null;
  const key = (name: string): string => prefix + checkSideName(name);

  async function put(name: string, bytes: Uint8Array, onlyNew = false): Promise<'written' | 'exists'> {
    if (!onlyNew) {
      await client.put(key(name), bytes);
      return 'written';
    }
    await (conditional ??= checkConditions(client));
    try {
      await client.put(key(name), bytes, { ifAbsent: true });
      return 'written';
    } catch (err) {
      if (err instanceof MusterError && err.code === 'OBJECT_CHANGED') return 'exists';
      throw err;
    }
  }

  return {
    put: (name, bytes, options) => put(name, bytes, options?.onlyNew),
    get: async (name) => (await orNull(client.getBytes(key(name))))?.bytes ?? null,
    async *list(begin) {
      for await (const object of objectsBelow(client, prefix + begin)) yield object.key.slice(prefix.length);
    },
    async remove(name) {
      await client.delete(key(name));
    },
  };
}

/** OSS passes over the condition in a bucket with versions, without a word: there nothing can be made only once. */
async function checkConditions(client: ObjectClient): Promise<void> {
  if (client.supports.ifAbsent === 'always' || (await client.getVersioning()) === 'off') return;
  throw new MusterError(
    'OBJECT_STORE_REFUSED',
    `${client.name} has versioning, where OSS cannot create an object only once: keep the repository in a bucket without`,
  );
}
