import { createHash } from 'node:crypto';
import { checksumsOf } from '../../../activities/objects/checksum/hasher.ts';
import {
  type CopyOptions,
  type CopySource,
  type ListedObject,
  type ListRequest,
  type ObjectClient,
  type ObjectInfo,
  type PutBody,
  type PutOptions,
  type ReadOptions,
} from '../../../activities/objects/types.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';

interface Stored {
  bytes: Buffer;
  info: ObjectInfo;
}

/** What the pure parts need of a bucket: listings in byte order and whole objects. Everything else is missing. */
export interface MemoryBucket {
  client: ObjectClient;
  set(key: string, text: string, options?: PutOptions): void;
  remove(key: string): void;
  has(key: string): boolean;
  metadata(key: string): Record<string, string>;
  keys(): string[];
  text(key: string): string;
  /** Listings asked for, by their largest page. */
  listings: number[];
}

export interface MemoryOptions {
  /** The bucket's clock, Unix milliseconds. */
  now?: () => number;
  /** Called before each look at or write to one object. */
  before?: (call: 'head' | 'get' | 'put' | 'delete' | 'copy', key: string) => void;
}

export function memoryBucket(name: string, { now = Date.now, before = () => {} }: MemoryOptions = {}): MemoryBucket {
  const objects = new Map<string, Stored>();
  let sorted: string[] | undefined;
  const listings: number[] = [];
  const order = (): string[] =>
    (sorted ??= [...objects.keys()].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
  const at = (key: string): Stored => {
    const stored = objects.get(key);
    if (stored === undefined) throw new MusterError('OBJECT_UNKNOWN', key);
    return stored;
  };
  const set = (key: string, bytes: Buffer, { metadata = {}, content = {} }: PutOptions = {}): Stored => {
    const info: ObjectInfo = {
      ...{
        key,
        sizeBytes: bytes.length,
        etag: createHash('md5').update(bytes).digest('hex'),
        lastModifiedMs: now(),
      },
      ...{ storageClass: 'STANDARD', content, metadata, checksums: checksumsOf(['crc64nvme'], bytes), archived: false },
    };
    const stored = { bytes, info };
    if (!objects.has(key)) sorted = undefined;
    objects.set(key, stored);
    return stored;
  };
  const remove = (key: string): void => {
    objects.delete(key);
    sorted = undefined;
  };
  const client = {
    name,
    dialect: 's3',
    bucket: name,
    supports: {
      ...{ ifAbsent: 'always', putIfMatch: true, completeConditions: true, wholeChecksum: 'crc64nvme' },
      ...{ objectLock: false, bucketWorm: false, maxPutBytes: 5e9, minPartBytes: 5e6, maxParts: 10_000 },
    },
    list({ prefix = '', startAfter = '', maxKeys = 1_000 }: ListRequest = {}) {
      listings.push(maxKeys);
      const from = Buffer.from(startAfter);
      const all = order();
      let low = 0;
      let high = all.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (Buffer.compare(Buffer.from(all[middle]!), from) <= 0) low = middle + 1;
        else high = middle;
      }
      const found = all.slice(startAfter === '' ? 0 : low).filter((key) => key.startsWith(prefix));
      const page = found.slice(0, maxKeys).map((key): ListedObject => {
        const { sizeBytes, etag, lastModifiedMs, storageClass } = at(key).info;
        return { key, sizeBytes, etag, lastModifiedMs, storageClass };
      });
      return Promise.resolve({
        ...{ objects: page, commonPrefixes: [] },
        ...(found.length > maxKeys ? { continuation: page.at(-1)!.key } : {}),
      });
    },
    // Async, so that what is missing rejects.
    async head(key: string, { ifMatch }: ReadOptions = {}) {
      before('head', key);
      const { info } = at(key);
      if (ifMatch !== undefined && ifMatch !== info.etag) throw new MusterError('OBJECT_CHANGED', key);
      // HTTP's dates have no more than seconds.
      return Promise.resolve({ ...info, lastModifiedMs: Math.floor(info.lastModifiedMs / 1_000) * 1_000 });
    },
    async getBytes(key: string, { ifMatch }: ReadOptions = {}) {
      before('get', key);
      const found = at(key);
      if (ifMatch !== undefined && ifMatch !== found.info.etag) throw new MusterError('OBJECT_CHANGED', key);
      return Promise.resolve(found);
    },
    getTags: () => Promise.resolve({}),
    delete(key: string) {
      before('delete', key);
      remove(key);
      return Promise.resolve({ deleteMarker: false });
    },
    async copy({ key, ifMatch }: CopySource, toKey: string, { replace }: CopyOptions = {}) {
      before('copy', key);
      const { bytes, info } = at(key);
      if (ifMatch !== undefined && ifMatch !== info.etag) throw new MusterError('OBJECT_CHANGED', key);
      const { info: made } = set(toKey, bytes, { metadata: info.metadata, content: info.content, ...replace });
      return Promise.resolve({ etag: made.etag, checksums: made.checksums, readBack: false });
    },
    getVersioning: () => Promise.resolve('off'),
    headBucket: () => Promise.resolve({}),
    async put(key: string, body: PutBody, options: PutOptions = {}) {
      before('put', key);
      const there = objects.get(key);
      if (options.ifAbsent === true && there !== undefined) throw new MusterError('OBJECT_CHANGED', key);
      if (options.ifMatch !== undefined && there?.info.etag !== options.ifMatch)
        throw new MusterError('OBJECT_CHANGED', key);
      const { info } = set(key, Buffer.from(body as Uint8Array), options);
      return Promise.resolve({ etag: info.etag, checksums: info.checksums, readBack: false });
    },
    deleteMany(targets: readonly { key: string }[]) {
      for (const { key } of targets) remove(key);
      return Promise.resolve(targets.map(({ key }) => ({ kind: 'deleted' as const, key })));
    },
  };
  return {
    client: client as unknown as ObjectClient,
    set: (key, text, options) => void set(key, Buffer.from(text), options),
    remove,
    has: (key) => objects.has(key),
    metadata: (key) => at(key).info.metadata,
    keys: order,
    text: (key) => at(key).bytes.toString(),
    listings,
  };
}
