import { randomUUID } from 'node:crypto';
import { openObjects } from '../../../activities/objects/open.ts';
import { type ObjectPlace } from '../../../activities/objects/place.ts';
import { type ListedObject, type ObjectBody, type ObjectClient } from '../../../activities/objects/types.ts';

/** What a server leaves out of its dialect, or has in its own way. */
export interface ServerTraits {
  tags: boolean;
  /** Object lock; undefined: nothing to ask. */
  objectLock: boolean;
  /** Keys this server will not take. */
  refusedKeys: RegExp;
  /** Keeps and answers a checksum of the whole object. */
  wholeChecksum: boolean;
  /** Smallest part but the last, where that is not what the dialect says, bytes. */
  minPartBytes?: number;
}

export interface Server {
  place(bucket: string): ObjectPlace;
}

/** What the parts of the suite are given. */
export interface Suite {
  name: string;
  traits: ServerTraits;
  /** A client of a new bucket. */
  open: (options?: { versioned?: boolean; lock?: boolean }) => Promise<ObjectClient>;
}

export function opener(server: () => Server): Suite['open'] {
  return async (options = {}) => {
    const client = openObjects(server().place(`t-${randomUUID().slice(0, 18)}`));
    await client.createBucket(options.lock === true ? { lock: true } : {});
    if (options.versioned === true) await client.setVersioning('enabled');
    return client;
  };
}

export const mebibyte = 2 ** 20;
export const everyKind = ['crc64nvme', 'crc64ecma', 'crc32', 'crc32c', 'md5', 'sha256'] as const;

export function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

export async function* pieces(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

export async function gather(body: ObjectBody): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function everyObject(client: ObjectClient, maxKeys?: number): Promise<ListedObject[]> {
  const objects: ListedObject[] = [];
  let continuation: string | undefined;
  do {
    const page = await client.list({
      ...(maxKeys === undefined ? {} : { maxKeys }),
      ...(continuation === undefined ? {} : { continuation }),
    });
    objects.push(...page.objects);
    continuation = page.continuation;
  } while (continuation !== undefined);
  return objects;
}
