import { type Arena, type Slab } from '../erasure/types.ts';
import { shardBlockBytes, stripeBytes } from '../erasure/geometry.ts';
import { sectorBytes, wideBlockBytes, wideBytes, wideHeaderBytes } from '../store/block.ts';

/** Distance between shard areas beyond their size: powers of two would make the kernels fight for the same cache sets. */
const strideSlackBytes = 64;
const wideSlackBytes = sectorBytes;

/**
 * One stripe while it is filled, coded and written: k data areas, then m parity areas, in one slab. The slab goes
 * back when everybody who was given a piece of it is done (`hold` and `drop` count them).
 */
export interface Stripe {
  readonly index: number;
  readonly slab: Slab;
  /** Data bytes in it. */
  readonly length: number;
  /** Bytes of each shard's block. */
  readonly blockBytes: number;
  /** Offset of a shard's block in the slab. */
  offsetOf(shard: number): number;
  /** The memory around it, as `StageBlock` wants it. */
  placeOf(shard: number): Uint8Array | undefined;
  hold(): void;
  drop(): void;
}

/** Collects bytes into stripes. */
export interface StripeFiller {
  /** Copies from `chunk` as much as the present stripe takes; returns how much, and the stripe when it became full. */
  take(chunk: Uint8Array, from: number): { taken: number; full: Stripe | undefined };
  /** The last, partial stripe; undefined when there is nothing in it. */
  rest(): Stripe | undefined;
  abort(): void;
}

/**
 * @param expectedBytes size of the whole, where known: stripes are then laid out right from the start, and small data
 * takes a small slab
 */
export function createStripeFiller(
  arena: Arena,
  shards: { data: number; parity: number },
  expectedBytes: number | undefined,
): StripeFiller {
  let index = 0;
  let filled = 0;
  let slab: Slab | undefined;
  let layout = layoutOf(stripeBytes, shards);

  const begin = (): Slab => {
    const left = expectedBytes === undefined ? stripeBytes : expectedBytes - index * stripeBytes;
    layout = layoutOf(left > 0 && left < stripeBytes ? left : stripeBytes, shards);
    slab = arena.take(layout.slabBytes);
    return slab;
  };
  const finish = (length: number): Stripe => {
    const done = makeStripe(slab!, { index, length, layout });
    slab = undefined;
    index += 1;
    filled = 0;
    return done;
  };
  return {
    take(chunk, from) {
      const target = slab ?? begin();
      const taken = copyIn(target.bytes, layout, filled, chunk.subarray(from));
      filled += taken;
      return { taken, full: filled === layout.capacity ? finish(filled) : undefined };
    },
    rest() {
      if (slab === undefined) return undefined;
      const length = filled;
      if (length < layout.capacity) relay(length);
      return finish(length);
    },
    abort() {
      slab?.release();
      slab = undefined;
    },
  };

  /** A stripe that turned out shorter than it was laid out for: its bytes are cut into shards anew. */
  function relay(length: number): void {
    const old = slab!;
    const shorter = layoutOf(length, shards);
    const fresh = arena.take(shorter.slabBytes);
    let moved = 0;
    for (let shard = 0; moved < length; shard++) {
      const start = layout.head + shard * layout.stride;
      const piece = old.bytes.subarray(start, start + Math.min(layout.blockBytes, length - moved));
      moved += copyIn(fresh.bytes, shorter, moved, piece);
    }
    old.release();
    slab = fresh;
    layout = shorter;
  }
}

interface Layout {
  blockBytes: number;
  stride: number;
  /** Bytes of each area before its block. */
  head: number;
  capacity: number;
  slabBytes: number;
  dataShards: number;
}

function layoutOf(length: number, shards: { data: number; parity: number }): Layout {
  const blockBytes = shardBlockBytes(length, shards.data);
  const wide = blockBytes >= wideBlockBytes;
  const stride = wide ? wideBytes(blockBytes) + wideSlackBytes : blockBytes + strideSlackBytes;
  const head = wide ? wideHeaderBytes : 0;
  const slabBytes = stride * (shards.data + shards.parity);
  return { blockBytes, stride, head, capacity: length, slabBytes, dataShards: shards.data };
}

/** Copies into the data areas from position `filled` on; returns the bytes taken. */
function copyIn(target: Uint8Array, layout: Layout, filled: number, source: Uint8Array): number {
  let taken = 0;
  while (taken < source.length && filled + taken < layout.capacity) {
    const position = filled + taken;
    const shard = Math.floor(position / layout.blockBytes);
    const inShard = position - shard * layout.blockBytes;
    const room = Math.min(layout.blockBytes - inShard, layout.capacity - position, source.length - taken);
    target.set(source.subarray(taken, taken + room), layout.head + shard * layout.stride + inShard);
    taken += room;
  }
  return taken;
}

function makeStripe(slab: Slab, made: { index: number; length: number; layout: Layout }): Stripe {
  const { layout, length, index } = made;
  clearPadding(slab.bytes, layout, length);
  let holders = 1;
  return {
    index,
    slab,
    length,
    blockBytes: layout.blockBytes,
    offsetOf: (shard) => layout.head + shard * layout.stride,
    placeOf(shard) {
      if (layout.head === 0) return undefined;
      const start = shard * layout.stride;
      return slab.bytes.subarray(start, start + wideBytes(layout.blockBytes));
    },
    hold() {
      holders += 1;
    },
    drop() {
      holders -= 1;
      if (holders === 0) slab.release();
      if (holders < 0) throw new Error('a stripe was dropped more often than it was held');
    },
  };
}

/** Slabs are used again: what lies behind the data would make the parity differ from run to run. */
function clearPadding(bytes: Uint8Array, layout: Layout, length: number): void {
  for (let shard = Math.floor(length / layout.blockBytes); shard < layout.dataShards; shard++) {
    const used = Math.min(layout.blockBytes, Math.max(0, length - shard * layout.blockBytes));
    const start = layout.head + shard * layout.stride;
    bytes.fill(0, start + used, start + layout.blockBytes);
  }
}
