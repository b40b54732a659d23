import {
  type Frame,
  type FrameHeader,
  headerBytes,
  maxBodyBytes,
  maxHelloBytes,
  readHeader,
  type TailMemory,
  type TakeTail,
} from './frame.ts';

const scratchBytes = 64 * 1024;
/** Less free room than this at the scratch's end, and what is in it moves to its front. */
const leastRoom = 16 * 1024;
/** A body up to this size is gathered in the scratch; a longer one is read straight into memory of its own. */
const largestScratchBody = scratchBytes - leastRoom - headerBytes;
/** A rest shorter than this is read through the scratch, together with what follows it: one system call less. */
const leastDirectBytes = 16 * 1024;

/** The part of a frame that is being filled: a long body, or the tail. */
interface Filling {
  header: FrameHeader;
  body: Buffer;
  tail: TailMemory | undefined;
  into: Uint8Array;
  filled: number;
}

/**
 * Takes frames apart as their bytes arrive. The socket asks where to put the next bytes (`next`) and tells how many
 * came (`advance`): small frames come through one scratch buffer, and the better part of a long one lands directly
 * in its own memory, tails in the arena, without a copy.
 */
export class Intake {
  readonly #take: TakeTail;
  readonly #onFrame: (frame: Frame) => void;
  readonly #scratch = Buffer.allocUnsafeSlow(scratchBytes);
  #start = 0;
  #end = 0;
  #bodyLimit = maxHelloBytes;
  #filling: Filling | undefined = undefined;
  #direct = false;
  #closed = false;

  constructor(take: TakeTail, onFrame: (frame: Frame) => void) {
    this.#take = take;
    this.#onFrame = onFrame;
  }

  /** Where the next bytes go. Never empty. */
  next(): Uint8Array {
    const filling = this.#filling;
    if (filling !== undefined && filling.into.length - filling.filled >= leastDirectBytes) {
      this.#direct = true;
      return filling.into.subarray(filling.filled);
    }
    this.#direct = false;
    if (this.#start === this.#end) this.#start = this.#end = 0;
    if (scratchBytes - this.#end < leastRoom) {
      this.#scratch.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#end === 0 ? this.#scratch : this.#scratch.subarray(this.#end);
  }

  /** So many bytes were put where `next` said. @throws FrameError, or what a handler threw. */
  advance(count: number): void {
    if (this.#closed) return;
    if (this.#direct) {
      const filling = this.#filling!;
      filling.filled += count;
      if (filling.filled === filling.into.length) this.#deliver(filling);
      return;
    }
    this.#end += count;
    while (!this.#closed && (this.#filling === undefined ? this.#takeFrame() : this.#fillFromScratch(this.#filling)));
  }

  /** After the handshake: frames of full size are taken from now on. */
  open(): void {
    this.#bodyLimit = maxBodyBytes;
  }

  /** Takes nothing more, and gives back what an unfinished frame holds. */
  close(): void {
    this.#closed = true;
    this.#filling?.tail?.release();
    this.#filling = undefined;
  }

  /** Takes one frame, or the beginning of a long one, from the scratch. False: there is not enough of it yet. */
  #takeFrame(): boolean {
    const available = this.#end - this.#start;
    if (available < headerBytes) return false;
    const header = readHeader(this.#scratch, this.#start, this.#bodyLimit);
    const { bodyBytes, tailBytes } = header;
    if (available < headerBytes + bodyBytes) {
      if (bodyBytes <= largestScratchBody) return false;
      this.#start += headerBytes;
      const body = Buffer.allocUnsafeSlow(bodyBytes);
      this.#filling = { header, body, tail: undefined, into: body, filled: 0 };
      return true;
    }
    const body = Buffer.allocUnsafe(bodyBytes);
    const bodyAt = this.#start + headerBytes;
    this.#scratch.copy(body, 0, bodyAt, bodyAt + bodyBytes);
    this.#start = bodyAt + bodyBytes;
    if (tailBytes > 0) {
      const tail = this.#take(tailBytes);
      this.#filling = { header, body, tail, into: tail.bytes.subarray(0, tailBytes), filled: 0 };
      return true;
    }
    this.#onFrame({ ...header, body, tail: undefined });
    return true;
  }

  /** Moves what the scratch holds of the unfinished part. False: it wants more. */
  #fillFromScratch(filling: Filling): boolean {
    const count = Math.min(this.#end - this.#start, filling.into.length - filling.filled);
    filling.into.set(this.#scratch.subarray(this.#start, this.#start + count), filling.filled);
    filling.filled += count;
    this.#start += count;
    if (filling.filled < filling.into.length) return false;
    this.#deliver(filling);
    return true;
  }

  #deliver(filling: Filling): void {
    this.#filling = undefined;
    this.#onFrame({ ...filling.header, body: filling.body, tail: filling.tail });
  }
}
