import { StorageError } from '../errors.ts';
import { encodeBlockHeader, wideBlockBytes, wideHeaderBytes } from './block.ts';
import { textOf } from './bytes.ts';
import { type DataRow, placeBytes } from './data-row.ts';
import { type StageRequest, type StageWriter } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { type Segment } from './segment.ts';

/** Data that is durable here and that no register names yet. It is gone when the process ends. */
export interface StagedData {
  row: DataRow;
  /** When it became durable, monotonic milliseconds. */
  atMs: number;
  /** A register that names it is being written. */
  claimed: boolean;
}

/** Bytes set aside at a time for data whose size nobody knows, and the most for one stretch. */
const stretchBytes = 32 * 1024 * 1024;
/** How many blocks are set aside when the size is not known. */
const blindBlocks = 8;
/** Writes under way that are kept apart, before they are put together. */
const apartWrites = 64;

interface Stretch {
  segment: Segment;
  offset: number;
  firstBlock: number;
  capacity: number;
}

/** Where the blocks of one shard go, one behind the other. */
interface Place {
  core: DriveCore;
  request: StageRequest;
  row: DataRow;
  touched: Set<Segment>;
  stretch: Stretch | undefined;
  next: number;
}

type Block = Parameters<StageWriter['write']>[0];

/** Takes one shard's blocks, in order, into stretches of segments. */
export function createStage(core: DriveCore, staged: Map<string, StagedData>, request: StageRequest): StageWriter {
  const id = textOf(request.dataId);
  const row: DataRow = {
    ...{ shard: request.shard, small: false, wide: false },
    ...{ blockBytes: 0, lastBlockBytes: 0, extents: [] },
  };
  const place: Place = { core, request, row, touched: new Set(), stretch: undefined, next: 0 };
  let failure: unknown;
  let given: Promise<unknown> = Promise.resolve();
  let writes: Promise<unknown>[] = [];
  let aborted = false;
  let own: StagedData | undefined;
  const fail = (error: unknown): void => {
    failure ??= error;
  };
  const self: StageWriter & { queuedBytes: number } = {
    queuedBytes: 0,
    onProgress: undefined,
    write(block, release) {
      self.queuedBytes += block.payload.length;
      const over = (): void => {
        self.queuedBytes -= block.payload.length;
        release();
        self.onProgress?.();
      };
      const turn = given.then(() => (failure === undefined && !aborted ? take(place, block) : undefined));
      given = turn.catch(fail);
      const written = turn.then((taken) => taken?.write);
      writes.push(written.catch(fail).then(over));
      if (writes.length > apartWrites) writes = [Promise.all(writes)];
    },
    async finish() {
      await given;
      await Promise.all(writes);
      if (failure !== undefined) await Promise.reject(failure);
      await core.writing(core.segments.sync(place.touched));
      if (aborted) throw new StorageError('Internal', 'the stage was given up');
      own = { row, atMs: core.env.clock.monotonicMs(), claimed: false };
      staged.set(id, own);
    },
    abort() {
      if (aborted) return;
      aborted = true;
      if (own === undefined) {
        // Not before the last write has ended: a file that is let go may be closed.
        const ended = given.then(() => Promise.all(writes));
        ended.then(() => core.segments.release(row.extents)).catch(() => {});
      } else if (staged.get(id) === own && !own.claimed) {
        // Otherwise a register names it, and its row holds the file.
        staged.delete(id);
        core.segments.release(row.extents);
      }
    },
  };
  return self;
}

/** Begins to write a block; the write is in an object, for the next block must not wait for its end. */
async function take(
  place: Place,
  { index, payload, checksum, place: memory }: Block,
): Promise<{ write: Promise<void> }> {
  const { core, request, row } = place;
  core.check();
  if (core.space.full()) throw new StorageError('OutOfSpace', `drive ${core.name} is at its space reserve`);
  if (index !== place.next) {
    throw new StorageError('Internal', `block ${index} was given where ${place.next} was due`);
  }
  if (index === 0) {
    row.blockBytes = payload.length;
    row.wide = payload.length >= wideBlockBytes;
  } else if (payload.length > row.blockBytes || row.lastBlockBytes !== row.blockBytes) {
    throw new StorageError('Internal', `block ${index} is longer than the first, or not behind full ones`);
  }
  const target = await stretchFor(place, payload.length);
  const { dataId, shard } = request;
  const header = encodeBlockHeader({ dataId, shard, index, length: payload.length, checksum });
  const offset = target.offset + (index - target.firstBlock) * placeBytes(row, row.blockBytes);
  row.lastBlockBytes = payload.length;
  row.extents.at(-1)!.blocks += 1;
  place.next += 1;
  const write =
    row.wide && memory !== undefined
      ? core.segments.writePages(target.segment, inPlace(memory, header, payload.length), offset)
      : core.segments.write(target.segment, blockChunks(row, header, payload), offset);
  return { write: core.writing(write) };
}

/** Header and padding are put around the payload, where it lies. */
function inPlace(memory: Uint8Array, header: Buffer, payloadBytes: number): Uint8Array {
  memory.set(header);
  memory.fill(0, header.length, wideHeaderBytes);
  memory.fill(0, wideHeaderBytes + payloadBytes);
  return memory;
}

const zeros = Buffer.alloc(4096);

/** A block as it lies on disk. */
export function blockChunks(row: DataRow, header: Buffer, payload: Uint8Array): Uint8Array[] {
  if (!row.wide) return [header, payload];
  const behind = placeBytes(row, payload.length) - wideHeaderBytes - payload.length;
  const chunks = [header, zeros.subarray(0, wideHeaderBytes - header.length), payload];
  return behind === 0 ? chunks : [...chunks, zeros.subarray(0, behind)];
}

/** The stretch the next block goes into. */
async function stretchFor(place: Place, length: number): Promise<Stretch> {
  const { core, request, row, stretch, next } = place;
  if (stretch !== undefined && next < stretch.firstBlock + stretch.capacity) return stretch;
  const stride = placeBytes(row, row.blockBytes);
  const expected = request.expectedBytes;
  const left = expected === undefined ? blindBlocks : Math.ceil((expected - next * row.blockBytes) / row.blockBytes);
  const capacity = Math.max(1, Math.min(left, Math.floor(stretchBytes / stride)));
  const bytes = (capacity - 1) * stride + Math.max(stride, placeBytes(row, length));
  const { segment, offset } = await core.writing(core.segments.reserve(bytes, row.wide));
  place.touched.add(segment);
  place.stretch = { segment, offset, firstBlock: next, capacity };
  row.extents.push({ segment: segment.id, offset, firstBlock: next, blocks: 0 });
  return place.stretch;
}
