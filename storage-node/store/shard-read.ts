import { blockHeaderBytes, blockSeed, storedChecksum } from './block.ts';
import { asBuffer } from './bytes.ts';
import { blockLength, type DataRow, decodeData, type Extent, headBytes, placeBytes, spanBytes } from './data-row.ts';
import {
  type BlocksReply,
  type BlocksRequest,
  type DataCheck,
  type DataId,
  type ShardBlock,
  type SmallShard,
} from './drive-api.ts';
import { type DriveCore } from './drive-core.ts';
import { reading } from './segments.ts';

/** What reads of shards need of a drive. */
export type ReadCore = Pick<DriveCore, 'index' | 'segments' | 'memory' | 'hasher'>;

/**
 * A small shard, read at once: it is most likely in memory, and a turn through the thread pool costs ten times as much.
 * Whoever uses it compares it with its checksum.
 */
export function readSmall({ index, segments }: ReadCore, dataId: DataId): SmallShard {
  const stored = index.get('data', dataId);
  if (stored === undefined) return { kind: 'missing', dataId };
  const row = decodeData(stored);
  const [extent] = row.extents;
  const segment = extent === undefined ? undefined : segments.get(extent.segment);
  const length = row.lastBlockBytes;
  if (segment === undefined || extent!.offset + blockHeaderBytes + length > segment.end) {
    return { kind: 'damaged', dataId };
  }
  const bytes = room(blockHeaderBytes + length);
  try {
    if (segment.handle.readNow(bytes, extent!.offset) < bytes.length) return { kind: 'damaged', dataId };
  } catch {
    // The medium cannot be read here: to the cluster that is the same as wrong bytes.
    return { kind: 'damaged', dataId };
  }
  const checksum = storedChecksum(bytes, { dataId, shard: row.shard, index: 0, length });
  if (checksum === undefined) return { kind: 'damaged', dataId };
  return { kind: 'shard', dataId, shard: row.shard, payload: bytes.subarray(blockHeaderBytes), checksum };
}

const roomBytes = 64 * 1024;
let shared = Buffer.alloc(0);
let used = 0;

/** Memory for a small read: many of them share a piece, for a piece each would cost more than the read. */
function room(bytes: number): Buffer {
  if (bytes > roomBytes / 4) return Buffer.allocUnsafeSlow(bytes);
  if (used + bytes > shared.length) {
    shared = Buffer.allocUnsafeSlow(roomBytes);
    used = 0;
  }
  used += bytes;
  return shared.subarray(used - bytes, used);
}

/** Blocks of a shard. If it moved while they were read, they are read from its new place. */
export async function readBlocks(core: ReadCore, request: BlocksRequest): Promise<BlocksReply> {
  for (;;) {
    const stored = core.index.get('data', request.dataId);
    if (stored === undefined) return { kind: 'missing' };
    const reply = await readAt(core, decodeData(stored), request);
    if (reply.kind === 'blocks' || core.index.get('data', request.dataId)?.equals(stored) === true) return reply;
  }
}

/** Blocks as a row says where they lie. Each has its stored checksum; `damaged` when one has not even its header. */
export async function readAt(core: ReadCore, row: DataRow, request: BlocksRequest): Promise<BlocksReply> {
  const blocks: ShardBlock[] = [];
  const held: { release: () => void }[] = [];
  const release = (): void => {
    for (const one of held.splice(0)) one.release();
  };
  for (const extent of row.extents) {
    const first = Math.max(request.first, extent.firstBlock);
    const end = Math.min(request.first + request.count, extent.firstBlock + extent.blocks);
    if (first >= end) continue;
    const bytes = await readSpan(core, { row, extent, first, end }, held);
    if (bytes === undefined || !parseSpan(bytes, { row, first, end, dataId: request.dataId }, blocks)) {
      release();
      return { kind: 'damaged' };
    }
  }
  return { kind: 'blocks', shard: row.shard, blocks, release };
}

/** Blocks `first` to `end` (exclusive) of one extent. Undefined: they cannot be read. */
async function readSpan(
  { segments, memory }: ReadCore,
  span: { row: DataRow; extent: Extent; first: number; end: number },
  held: { release: () => void }[],
): Promise<Buffer | undefined> {
  const { row, extent, first, end } = span;
  const segment = segments.get(extent.segment);
  const length = spanBytes(row, first, end);
  const offset = extent.offset + (first - extent.firstBlock) * placeBytes(row, row.blockBytes);
  if (segment === undefined || offset + length > segment.end) return undefined;
  const slab = memory.take(length);
  held.push(slab);
  const target = asBuffer(slab.bytes).subarray(0, length);
  // The medium cannot be read here: to the cluster that is the same as wrong bytes.
  const count = await reading(segments, segment, () => segment.handle.read(target, offset)).catch(() => 0);
  return count === length ? target : undefined;
}

function parseSpan(
  bytes: Buffer,
  span: { row: DataRow; first: number; end: number; dataId: DataId },
  blocks: ShardBlock[],
): boolean {
  const { row, first, end, dataId } = span;
  const stride = placeBytes(row, row.blockBytes);
  const head = headBytes(row);
  for (let index = first; index < end; index++) {
    const length = blockLength(row, index);
    const at = (index - first) * stride;
    const block = bytes.subarray(at, at + head + length);
    const checksum = storedChecksum(block, { dataId, shard: row.shard, index, length });
    if (checksum === undefined) return false;
    blocks.push({ index, payload: block.subarray(head), checksum });
  }
  return true;
}

/** Reads a shard's blocks one after the other and compares each with its checksum. */
export async function verifyBlocks(core: ReadCore, dataId: DataId, blocks: number): Promise<DataCheck> {
  for (let index = 0; index < blocks; index++) {
    const reply = await readBlocks(core, { dataId, first: index, count: 1 });
    if (reply.kind !== 'blocks') return reply.kind;
    const [block] = reply.blocks;
    const right = block !== undefined && isRight(core, block, { dataId, shard: reply.shard });
    reply.release();
    if (!right) return 'damaged';
  }
  return 'ok';
}

export function isRight(
  { hasher }: Pick<ReadCore, 'hasher'>,
  block: ShardBlock,
  of: { dataId: DataId; shard: number },
): boolean {
  return hasher.xxh64Of(block.payload, blockSeed(of.dataId, of.shard, block.index)) === block.checksum;
}
