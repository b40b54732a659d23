import { type ArenaMemory } from './arena.ts';
import { makeMd5Kernel, type Md5Kernel, md5Lanes, md5WordBytes, md5Widths } from './md5-kernel.ts';
import { type Md5Stream } from './types.ts';

const blockBytes = 64;
const start = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
/** Enough streams for the lanes to pay: four lanes, two of them empty, do half as much again as one alone. */
const fewestLanes = 2;
/** Bytes that may wait for company before they are digested anyway. */
const waitingBytes = 12 * 1024 * 1024;

interface Piece {
  at: number;
  length: number;
  release: () => void;
}

interface Stream {
  state: Uint32Array;
  pieces: Piece[];
  pendingBytes: number;
  totalBytes: number;
  /** Start of a block whose rest has not come. */
  carry: Uint8Array;
  carried: number;
  done: ((digest: Uint8Array) => void) | undefined;
}

/**
 * Digests the MD5 streams of a process. What is given waits until there is company for the lanes, until somebody asks
 * for a digest, or until too much waits: sixteen streams side by side cost a quarter of sixteen one after the other.
 */
export function createMd5(arena: ArenaMemory): () => Md5Stream {
  let kernel: Md5Kernel | undefined;
  const scratch = arena.take(64 * md5Lanes);
  const states = arena.take(16 * md5Lanes + md5WordBytes);
  const table = arena.take(4 * md5Lanes);
  const active = new Set<Stream>();
  let waiting = 0;
  let scheduled = false;

  const kernelOf = (): Md5Kernel => (kernel ??= makeMd5Kernel(arena.memory));
  const words = (at: number, count: number): Uint32Array => new Uint32Array(arena.memory.buffer, at, count);
  const oneBlocks = (stream: Stream, at: number, blocks: number): void => {
    const state = words(states.at, 4);
    state.set(stream.state);
    kernelOf().one(states.at, at, blocks);
    stream.state.set(state);
  };
  /** Fills up or begins the carried block, so that the first piece starts with whole blocks. */
  const settleHead = (stream: Stream): void => {
    while (stream.pieces.length > 0) {
      const piece = stream.pieces[0]!;
      if (stream.carried === 0 && piece.length >= blockBytes) return;
      const taken = Math.min(blockBytes - stream.carried, piece.length);
      stream.carry.set(new Uint8Array(arena.memory.buffer, piece.at, taken), stream.carried);
      stream.carried += taken;
      consume(stream, taken);
      if (stream.carried < blockBytes) continue;
      scratch.bytes.set(stream.carry);
      oneBlocks(stream, scratch.at, 1);
      stream.carried = 0;
    }
  };
  const consume = (stream: Stream, bytes: number): void => {
    const piece = stream.pieces[0]!;
    piece.at += bytes;
    piece.length -= bytes;
    stream.pendingBytes -= bytes;
    waiting -= bytes;
    if (piece.length > 0) return;
    stream.pieces.shift();
    piece.release();
  };
  const manyBlocks = (group: readonly Stream[], blocks: number): void => {
    const width = md5Widths.find((one) => one >= group.length)!;
    const vectors = words(states.at, 4 * md5Lanes);
    const addresses = words(table.at, md5Lanes);
    for (let lane = 0; lane < width; lane++) {
      // Empty lanes go over the first stream's bytes; what comes of it is thrown away.
      const stream = group[lane] ?? group[0]!;
      for (let n = 0; n < 4; n++) vectors[(lane >> 2) * 16 + n * 4 + (lane & 3)] = stream.state[n]!;
      addresses[lane] = stream.pieces[0]!.at;
    }
    kernelOf().many(width)(states.at, table.at, blocks);
    group.forEach((stream, lane) => {
      for (let n = 0; n < 4; n++) stream.state[n] = vectors[(lane >> 2) * 16 + n * 4 + (lane & 3)]!;
      consume(stream, blocks * blockBytes);
    });
  };
  /** Digests whole blocks of all streams as long as `wanted` have some, then lets those who asked know. */
  const run = (): void => {
    scheduled = false;
    for (;;) {
      const ready: Stream[] = [];
      for (const stream of active) {
        settleHead(stream);
        if (stream.pieces.length > 0 && ready.length < md5Lanes) ready.push(stream);
      }
      const asked = ready.filter(({ done }) => done !== undefined);
      if (ready.length === 0 || (asked.length === 0 && ready.length < fewestLanes && waiting < waitingBytes)) break;
      if (ready.length >= fewestLanes) {
        const blocks = Math.min(...ready.map(({ pieces }) => Math.floor(pieces[0]!.length / blockBytes)));
        manyBlocks(ready, blocks);
      } else {
        for (const stream of ready) {
          const piece = stream.pieces[0]!;
          const blocks = Math.floor(piece.length / blockBytes);
          oneBlocks(stream, piece.at, blocks);
          consume(stream, blocks * blockBytes);
        }
      }
    }
    for (const stream of active) if (stream.done !== undefined && stream.pieces.length === 0) finish(stream);
  };
  const finish = (stream: Stream): void => {
    active.delete(stream);
    const tail = new Uint8Array(stream.carried < 56 ? 64 : 128);
    tail.set(stream.carry.subarray(0, stream.carried));
    tail[stream.carried] = 0x80;
    new DataView(tail.buffer).setBigUint64(tail.length - 8, BigInt(stream.totalBytes) * 8n, true);
    scratch.bytes.set(tail);
    oneBlocks(stream, scratch.at, tail.length / blockBytes);
    stream.done!(new Uint8Array(stream.state.slice().buffer));
  };
  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(run);
  };
  const give = (stream: Stream, piece: Piece): void => {
    active.add(stream);
    stream.pieces.push(piece);
    stream.pendingBytes += piece.length;
    stream.totalBytes += piece.length;
    waiting += piece.length;
    if (waiting >= waitingBytes || active.size >= md5Lanes) schedule();
  };
  return () => {
    const stream: Stream = {
      state: start.slice(),
      pieces: [],
      pendingBytes: 0,
      totalBytes: 0,
      carry: new Uint8Array(blockBytes),
      carried: 0,
      done: undefined,
    };
    return {
      update(slab, offset, length, release) {
        if (length === 0) release();
        else give(stream, { at: slab.at + offset, length, release });
      },
      updateBytes(bytes) {
        if (bytes.length === 0) return;
        const slab = arena.take(bytes.length);
        slab.bytes.set(bytes);
        give(stream, { at: slab.at, length: bytes.length, release: () => slab.release() });
      },
      digest: () =>
        new Promise((resolve) => {
          stream.done = resolve;
          active.add(stream);
          schedule();
        }),
      abort() {
        active.delete(stream);
        waiting -= stream.pendingBytes;
        for (const { release } of stream.pieces.splice(0)) release();
      },
    };
  };
}
