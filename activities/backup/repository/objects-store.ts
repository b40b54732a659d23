import { MusterError } from '../../../workflows/engine/errors.ts';
import { openObjects } from '../../objects/open.ts';
import type { ObjectPlace } from '../../objects/place.ts';
import type { ObjectClient } from '../../objects/types.ts';
import { objectsBelow, orNull } from './objects-calls.ts';
import { openObjectLocks } from './objects-locks.ts';
import { createObjectsSide } from './objects-side.ts';
import {
  configName,
  folderOf,
  isFileName,
  pathOf,
  type ByteRange,
  type FileKind,
  type FileRetention,
  type NewRetention,
  type RepositoryStore,
  type StoredFile,
} from './store.ts';

/**
 * A repository in a bucket, below the place's prefix, with the keys that restic's `s3:` gives it. The bucket must be
 * there. Every file is one PUT, which a store takes whole or not at all; the name of a file is the checksum that the
 * store compares its bytes with.
 */
export function openObjectsStore(place: ObjectPlace, retention?: NewRetention): RepositoryStore {
  const client = openObjects(place);
  const key = (kind: FileKind, name: string): string => place.prefix + pathOf(kind, name);
  return {
    place: `${place.dialect}://${place.bucket}/${place.prefix} at ${new URL(place.endpoint).host}`,
    list: (kind) => list(client, place.prefix, kind),
    read: (kind, name, range) => orNull(read(client, key(kind, name), range)),
    write: (kind, name, pieces) =>
      write(client, key(kind, name), { name, pieces, retention: retentionOf(kind, retention) }),
    async remove(kind, name) {
      await client.delete(key(kind, name));
    },
    sizeOf: async (kind, name) => (await orNull(client.head(key(kind, name))))?.sizeBytes ?? null,
    side: createObjectsSide(client, `${place.prefix}muster/`),
    // A PUT that was cut off leaves nothing, and no file is written in parts.
    removeLeftovers: () => Promise.resolve(0),
    objectLocks: () => openObjectLocks(client, key),
    async close() {
      await client[Symbol.asyncDispose]();
    },
  };
}

async function* list(client: ObjectClient, prefix: string, kind: FileKind): AsyncGenerator<StoredFile> {
  if (kind === 'config') {
    const found = await orNull(client.head(prefix + configName));
    if (found !== null) yield { name: configName, sizeBytes: found.sizeBytes, writtenMs: found.lastModifiedMs };
    return;
  }
  for await (const { key, sizeBytes, lastModifiedMs: writtenMs } of objectsBelow(
    client,
    `${prefix}${folderOf(kind)}/`,
  )) {
    const name = key.slice(key.lastIndexOf('/') + 1);
    // Consoles make "folders", people copy things: only what lies where restic puts it counts.
    if (isFileName(name) && key === prefix + pathOf(kind, name)) yield { name, sizeBytes, writtenMs };
  }
}

async function read(client: ObjectClient, key: string, range: ByteRange | undefined): Promise<Uint8Array> {
  if (range === undefined) return (await client.getBytes(key)).bytes;
  const { offset, length } = range;
  // HTTP has no empty ranges, nor any that begin behind the end.
  if (length > 0) {
    try {
      return (await client.getBytes(key, { range: { first: offset, last: offset + length - 1 } })).bytes;
    } catch (err) {
      if (!isInvalidRange(err)) throw err;
    }
  }
  await client.head(key);
  return new Uint8Array();
}

/** Locks of clients come and go, and what holds them must not outlive them. */
function retentionOf(kind: FileKind, asked: NewRetention | undefined): FileRetention | null {
  return asked === undefined || kind === 'lock' ? null : { mode: asked.mode, untilMs: Date.now() + asked.forMs };
}

interface NewFile {
  name: string;
  pieces: readonly Uint8Array[];
  retention: FileRetention | null;
}

async function write(client: ObjectClient, key: string, { name, pieces, retention }: NewFile): Promise<void> {
  const [only = new Uint8Array()] = pieces;
  const body = pieces.length === 1 ? only : Buffer.concat(pieces);
  const checksums = client.dialect === 's3' && isFileName(name) ? { sha256: name } : undefined;
  await client.put(key, body, { ...(checksums && { checksums }), ...(retention !== null && { retention }) });
}

function isInvalidRange(err: unknown): boolean {
  return err instanceof MusterError && 'serverCode' in err && err.serverCode === 'InvalidRange';
}
