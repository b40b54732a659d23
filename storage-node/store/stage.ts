import { StorageError } from '../errors.ts';
import { blockHeaderBytes, encodeBlockHeader } from './block.ts';
import { type StageRequest, type StageWriter } from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { textOf } from './bytes.ts';
import { type DataRow } from './data-row.ts';
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

interface Stretch {
  segment: Segment;
  offset: number;
  firstBlock: number;
  capacity: number;
}

/** Takes one shard's blocks, in order, into stretches of segments. */
export function createStage(core: DriveCore, staged: Map<string, StagedData>, request: StageRequest): StageWriter {
  const { dataId, shard } = request;
  const row: DataRow = { shard, small: false, blockBytes: 0, lastBlockBytes: 0, extents: [] };
  const touched = new Set<Segment>();
  let stretch: Stretch | undefined;
  let next = 0;
  let failure: unknown;
  let given: Promise<unknown> = Promise.resolve();
  let writes: Promise<unknown>[] = [];
  let aborted = false;
  let own: StagedData | undefined;

  /** The stretch the next block goes into. */
  const stretchFor = async (length: number): Promise<Stretch> => {
    if (stretch !== undefined && next < stretch.firstBlock + stretch.capacity) return stretch;
    const stride = blockHeaderBytes + row.blockBytes;
    const expected = request.expectedBytes;
    const left = expected === undefined ? blindBlocks : Math.ceil((expected - next * row.blockBytes) / row.blockBytes);
    const capacity = Math.max(1, Math.min(left, Math.floor(stretchBytes / stride)));
    const bytes = (capacity - 1) * stride + Math.max(stride, blockHeaderBytes + length);
    const { segment, offset } = await core.segments.reserve(bytes);
    touched.add(segment);
    stretch = { segment, offset, firstBlock: next, capacity };
    row.extents.push({ segment: segment.id, offset, firstBlock: next, blocks: 0 });
    return stretch;
  };
  const take = async (index: number, payload: Uint8Array, checksum: bigint): Promise<{ write: Promise<void> }> => {
    core.check();
    if (index !== next) throw new StorageError('Internal', `block ${index} was given where ${next} was due`);
    if (next === 0) row.blockBytes = payload.length;
    else if (payload.length > row.blockBytes || row.lastBlockBytes !== row.blockBytes) {
      throw new StorageError('Internal', `block ${index} is longer than the first, or not behind full ones`);
    }
    const target = await stretchFor(payload.length);
    const header = encodeBlockHeader({ dataId, shard, index, length: payload.length, checksum });
    const offset = target.offset + (index - target.firstBlock) * (blockHeaderBytes + row.blockBytes);
    row.lastBlockBytes = payload.length;
    row.extents.at(-1)!.blocks += 1;
    next += 1;
    // In an object: the next block must not wait for this one to be written.
    return { write: core.writing(core.segments.write(target.segment, [header, payload], offset)) };
  };
  const self = {
    queuedBytes: 0,
    onProgress: undefined as (() => void) | undefined,
    write({ index, payload, checksum }: Parameters<StageWriter['write']>[0], release: () => void) {
      self.queuedBytes += payload.length;
      const over = (): void => {
        self.queuedBytes -= payload.length;
        release();
        self.onProgress?.();
      };
      const turn = given.then(() => {
        if (failure !== undefined || aborted) return undefined;
        if (core.space.full()) throw new StorageError('OutOfSpace', `drive ${core.name} is at its space reserve`);
        return take(index, payload, checksum);
      });
      given = turn.catch((error: unknown) => {
        failure ??= error;
      });
      const written = turn.then(
        (taken) => taken?.write,
        () => {},
      );
      writes.push(
        written.then(over, (error: unknown) => {
          failure ??= error;
          over();
        }),
      );
      if (writes.length > 64) writes = [Promise.all(writes)];
    },
    async finish() {
      await given;
      await Promise.all(writes);
      if (failure !== undefined) await Promise.reject(failure);
      await core.writing(core.segments.sync(touched));
      if (aborted) throw new StorageError('Internal', 'the stage was given up');
      own = { row, atMs: core.env.clock.monotonicMs(), claimed: false };
      staged.set(textOf(dataId), own);
    },
    abort() {
      if (aborted) return;
      aborted = true;
      if (own === undefined) {
        // Not before the last write has ended: a file that is let go may be closed.
        const ended = given.then(() => Promise.all(writes));
        ended.then(() => core.segments.release(row.extents)).catch(() => {});
      } else if (staged.get(textOf(dataId)) === own && !own.claimed) {
        // Otherwise a register names it, and its row holds the file.
        staged.delete(textOf(dataId));
        core.segments.release(row.extents);
      }
    },
  };
  return self;
}
