import type { Socket } from 'node:net';
import type { Wire } from './wire.ts';

/** Bytes that may be under way at once: 64 MiB fill a delay of 500 ms at 128 MB/s. */
const delayLineBytes = 64 * 1024 * 1024;
const queueBytes = 256 * 1024;

interface DataItem {
  kind: 'data';
  chunk: Buffer;
  atMs: number;
}
type Item = DataItem | { kind: 'end'; atMs: number } | { kind: 'reset'; atMs: number };

/** Carries what one socket says to another, across a wire with its fault. The end of a stream travels like its data. */
export class Pipe {
  readonly #wire: Wire;
  readonly #source: Socket;
  readonly #sink: Socket;
  #queue: Item[] = [];
  #queuedBytes = 0;
  #sinkFull = false;
  #ended = false;
  #dropped = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(wire: Wire, source: Socket, sink: Socket) {
    this.#wire = wire;
    this.#source = source;
    this.#sink = sink;
    wire.pipes.add(this);
    source.on('data', (chunk: Buffer) => this.#arrived({ kind: 'data', chunk, atMs: performance.now() }));
    source.on('end', () => {
      this.#ended = true;
      this.#arrived({ kind: 'end', atMs: performance.now() });
    });
    source.on('close', (failed: boolean) => {
      if (failed || !this.#ended) this.#arrived({ kind: 'reset', atMs: performance.now() });
    });
    sink.on('drain', () => {
      this.#sinkFull = false;
      this.pump();
    });
    sink.on('close', () => {
      this.#sinkFull = false;
      if (source.destroyed) this.drop();
      else this.pump();
    });
  }

  /** Forgets what is under way and carries nothing any more. */
  drop(): void {
    this.#dropped = true;
    this.#wire.pipes.delete(this);
    this.#queue = [];
    this.#queuedBytes = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Delivers what is due. Called when something arrives, when the sink has room, and when the fault changes. */
  pump(): void {
    if (this.#dropped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    let sent = 0;
    for (let item = this.#queue[0]; item !== undefined && !this.#sinkFull; item = this.#queue[sent]) {
      const waitMs = this.#deliver(item);
      if (waitMs > 0) {
        if (waitMs !== Infinity) this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs));
        break;
      }
      sent += 1;
    }
    if (sent > 0) this.#queue.splice(0, sent);
    this.#throttle();
  }

  #arrived(item: Item): void {
    if (this.#dropped) return;
    this.#queue.push(item);
    if (item.kind === 'data') this.#queuedBytes += item.chunk.length;
    this.pump();
  }

  /** Sends the item if it is due. @returns 0 when all of it went, else the time to the next try (never, while in a black hole) */
  #deliver(item: Item): number {
    const fault = this.#wire.fault;
    if (fault.kind === 'black-hole') return Infinity;
    if (fault.kind === 'delay') {
      const waitMs = item.atMs + fault.ms - performance.now();
      if (waitMs > 0) return waitMs;
    }
    if (item.kind === 'end') this.#sink.end();
    else if (item.kind === 'reset') this.#sink.resetAndDestroy();
    else if (fault.kind === 'bandwidth') return this.#deliverSlice(item, fault.bytesPerSecond);
    else this.#write(item.chunk);
    return 0;
  }

  #deliverSlice(item: DataItem, bytesPerSecond: number): number {
    const { bytes, waitMs } = this.#wire.take(item.chunk.length, bytesPerSecond);
    if (bytes === 0) return waitMs;
    this.#write(item.chunk.subarray(0, bytes));
    item.chunk = item.chunk.subarray(bytes);
    return item.chunk.length === 0 ? 0 : 1;
  }

  #write(chunk: Buffer): void {
    this.#queuedBytes -= chunk.length;
    this.#wire.bytes += chunk.length;
    if (!this.#sink.destroyed && !this.#sink.write(chunk)) this.#sinkFull = true;
  }

  #throttle(): void {
    const fault = this.#wire.fault;
    const limit = fault.kind === 'delay' ? delayLineBytes : queueBytes;
    const wait = fault.kind === 'black-hole' || this.#sinkFull || this.#queuedBytes >= limit;
    if (wait) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
  }
}
