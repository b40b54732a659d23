import { Packr } from 'msgpackr';
import { collect } from '../consensus/collect.ts';
import { type Change, type Registers, type WriteGuard } from '../consensus/registers.ts';
import { StorageError } from '../errors.ts';
import { type Env } from '../ports.ts';
import { bucketIdBytes, type BucketGuard, type IndexKey } from '../store/drive-api.ts';
import { type ErasureSet, writeQuorum } from '../store/set.ts';
import { bucketRecordKey, bucketRecordsPrefix, namespace, setIndexOf, spaceOf } from './keys.ts';
import { type Bucket, type Versioning } from './model.ts';
import { type SetScanner } from './set-scan.ts';

/** How long a node may act on a bucket's settings without asking again. Drives refuse writes that act on old ones. */
const cacheMs = 5_000;
/** A removal that was begun and not ended is taken over after this. */
const removalMs = 30_000;

/** A bucket as its register keeps it. */
interface BucketRecord extends Bucket {
  removing?: { token: string; atMs: number };
}

export interface Buckets {
  create(input: { name: string; owner: string; region: string }): Promise<Bucket>;
  get(name: string): Promise<Bucket>;
  list(): Promise<Bucket[]>;
  remove(name: string): Promise<void>;
  setVersioning(name: string, versioning: Exclude<Versioning, 'Off'>): Promise<void>;
  setDocument(name: string, document: string, content: string | undefined): Promise<void>;
  /** Runs a write with the settings as known, and once more with fresh ones when the drives know newer. */
  withBucket<T>(name: string, write: (bucket: Bucket) => Promise<T>): Promise<T>;
  /** Another node has changed it. */
  invalidate(name: string): void;
}

export interface BucketsDeps {
  env: Env;
  sets: readonly ErasureSet[];
  registers: Registers;
  scanner: SetScanner;
  /** Tells the other nodes; what does not arrive ends with the cache. */
  announce: (name: string) => void;
  deadlineMs: number;
}

const packr = new Packr({ useRecords: false });
const housekeeping: WriteGuard = { fromClient: false, bucketGeneration: Number.MAX_SAFE_INTEGER };
const clientWrite: WriteGuard = { fromClient: true, bucketGeneration: Number.MAX_SAFE_INTEGER };

export function createBuckets(deps: BucketsDeps): Buckets {
  const { env, sets, registers } = deps;
  const cache = new Map<string, { bucket: Bucket; atMs: number }>();
  const setFor = (key: IndexKey): ErasureSet => sets[setIndexOf(key, sets.length)]!;

  const get = async (name: string): Promise<Bucket> => {
    const known = cache.get(name);
    if (known !== undefined && env.clock.monotonicMs() - known.atMs < cacheMs) return known.bucket;
    const key = bucketRecordKey(name);
    const { state, tombstone } = await registers.get(setFor(key), key);
    if (tombstone || state.length === 0) throw noSuchBucket(name);
    const bucket = plain(unpack(state));
    cache.set(name, { bucket, atMs: env.clock.monotonicMs() });
    return bucket;
  };
  /** Changes the record, then makes the new generation known, so that nobody writes by the old settings any more. */
  const update = async (name: string, change: (record: BucketRecord) => BucketRecord): Promise<BucketRecord> => {
    const key = bucketRecordKey(name);
    let updated: BucketRecord | undefined;
    await registers.change(setFor(key), key, clientWrite, ({ state, tombstone }) => {
      if (tombstone || state.length === 0) throw noSuchBucket(name);
      const record = unpack(state);
      updated = { ...change(record), generation: record.generation + 1 };
      return recordChange(updated);
    });
    const { id, generation } = updated!;
    await guardEverywhere(deps, { bucketId: Buffer.from(id, 'hex'), generation, sealed: false });
    cache.delete(name);
    deps.announce(name);
    return updated!;
  };
  return {
    get,
    async create({ name, owner, region }) {
      const key = bucketRecordKey(name);
      const bucket: Bucket = {
        name,
        id: Buffer.from(env.randomBytes(bucketIdBytes)).toString('hex'),
        createdAtMs: env.clock.wallMs(),
        versioning: 'Off',
        generation: 1,
        owner,
        region,
        documents: {},
      };
      await registers.change(setFor(key), key, clientWrite, ({ state, tombstone }) => {
        if (!tombstone && state.length > 0) throw alreadyThere(unpack(state), owner);
        return recordChange(bucket);
      });
      cache.delete(name);
      return bucket;
    },
    async list() {
      const found: Bucket[] = [];
      for (const set of sets) {
        for await (const row of deps.scanner.rows(set, { prefix: bucketRecordsPrefix })) {
          found.push(plain(unpack(row.value)));
        }
      }
      return found.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    },
    remove: (name) => remove(deps, name, { update, forget: () => cache.delete(name) }),
    async setVersioning(name, versioning) {
      await update(name, (record) => ({ ...record, versioning }));
    },
    async setDocument(name, document, content) {
      await update(name, (record) => {
        const { [document]: _, ...others } = record.documents;
        return { ...record, documents: content === undefined ? others : { ...others, [document]: content } };
      });
    },
    async withBucket(name, write) {
      const known = cache.has(name);
      try {
        return await write(await get(name));
      } catch (error) {
        if (!(error instanceof StorageError) || error.details['bucketChanged'] !== '1' || !known) throw error;
        cache.delete(name);
        return write(await get(name));
      }
    },
    invalidate: (name) => void cache.delete(name),
  };
}

/**
 * Removes a bucket: seals it on every set, so that nothing can be written any more; proves that it is empty; removes the
 * record, or takes the seal away again.
 */
async function remove(
  deps: BucketsDeps,
  name: string,
  own: {
    update: (name: string, change: (record: BucketRecord) => BucketRecord) => Promise<BucketRecord>;
    forget: () => void;
  },
): Promise<void> {
  const { env, registers, sets } = deps;
  const token = Buffer.from(env.randomBytes(8)).toString('hex');
  const record = await own.update(name, (before) => {
    if (before.removing !== undefined && env.clock.wallMs() - before.removing.atMs < removalMs) {
      throw new StorageError('Busy', 'the bucket is being removed by another request');
    }
    return { ...before, removing: { token, atMs: env.clock.wallMs() } };
  });
  const guard = { bucketId: Buffer.from(record.id, 'hex'), generation: record.generation };
  await guardEverywhere(deps, { ...guard, sealed: true });
  try {
    for (const set of sets) {
      const prefix = spaceOf(record.id, namespace.object);
      for await (const _ of deps.scanner.rows(set, { prefix })) {
        throw new StorageError('BucketNotEmpty', 'the bucket you tried to delete is not empty');
      }
    }
    const key = bucketRecordKey(name);
    await registers.change(sets[setIndexOf(key, sets.length)]!, key, clientWrite, ({ state, tombstone }) => {
      if (tombstone || state.length === 0) return 'unchanged';
      if (unpack(state).removing?.token !== token) throw new StorageError('Busy', 'the bucket was changed meanwhile');
      return { ...recordChange(record), tombstone: true, state: new Uint8Array(0) };
    });
  } catch (error) {
    await guardEverywhere(deps, { ...guard, sealed: false });
    await own.update(name, plain).catch(() => {});
    throw error;
  }
  own.forget();
  deps.announce(name);
  await endUploads(deps, record.id).catch(() => {});
}

/** Uploads of a bucket that is gone: nobody can complete them, their data goes. */
async function endUploads(deps: BucketsDeps, bucketId: string): Promise<void> {
  for (const set of deps.sets) {
    for (const space of [namespace.upload, namespace.part]) {
      for await (const { key } of deps.scanner.rows(set, { prefix: spaceOf(bucketId, space) })) {
        await deps.registers.change(set, key, housekeeping, () => tombstoneChange);
      }
    }
  }
}

/** A register's end, with all the data it referred to. */
export const tombstoneChange: Change = {
  tombstone: true,
  hidden: false,
  state: new Uint8Array(0),
  headData: undefined,
  puts: () => [],
  note: undefined,
};

/** @throws StorageError WriteQuorumLost unless a write quorum of every set has the guard durably. */
async function guardEverywhere(deps: BucketsDeps, guard: BucketGuard): Promise<void> {
  await Promise.all(
    deps.sets.map(async (set) => {
      const quorum = writeQuorum(set.drives.length);
      const { answered } = await collect(
        set.drives,
        (drive) => drive.api.guardBucket(guard, { deadlineMs: deps.deadlineMs }),
        {
          clock: deps.env.clock,
          deadlineMs: deps.deadlineMs,
          graceMs: 100,
          enough: (now) => now.answered.length >= quorum || now.failed.length > set.drives.length - quorum,
        },
      );
      if (answered.length >= quorum) return;
      const message = `${answered.length} drives of set ${set.index} know the bucket's new settings, ${quorum} must`;
      throw new StorageError('WriteQuorumLost', message, { details: { unknown: '1' } });
    }),
  );
}

function recordChange(record: BucketRecord): Change {
  return { ...tombstoneChange, tombstone: false, state: packr.pack(record) };
}

function unpack(state: Uint8Array): BucketRecord {
  return packr.unpack(state) as BucketRecord;
}

function plain(record: BucketRecord): Bucket {
  const bucket = { ...record };
  delete bucket.removing;
  return bucket;
}

function noSuchBucket(name: string): StorageError {
  return new StorageError('NoSuchBucket', 'the specified bucket does not exist', { details: { bucket: name } });
}

function alreadyThere(record: BucketRecord, owner: string): StorageError {
  return record.owner === owner
    ? new StorageError('BucketAlreadyOwnedByYou', 'you already own the bucket', { details: { bucket: record.name } })
    : new StorageError('BucketAlreadyExists', 'the bucket name is taken', { details: { bucket: record.name } });
}
