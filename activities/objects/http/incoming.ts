import { type Dispatcher } from 'undici';

/** So much may wait for its reader before the socket is told to stop. */
const mostWaitingBytes = 256 * 1024;

interface Reader {
  resolve: (result: IteratorResult<Buffer, undefined>) => void;
  reject: (error: unknown) => void;
}

/**
 * The body of an answer while it arrives: a queue between socket and reader, without a stream's machinery, which costs
 * more than a small body. Fed by `push`, `end` and `fail`; read once, by iterating or by `bytes`.
 */
export class IncomingBody implements AsyncIterable<Buffer>, AsyncIterator<Buffer, undefined> {
  readonly #controller: Dispatcher.DispatchController;
  readonly #chunks: Buffer[] = [];
  #waitingBytes = 0;
  #reader: Reader | undefined;
  #wantsAll = false;
  #failure: { error: unknown } | undefined;
  /** The whole body was received, or it will not be. */
  over = false;
  /** Makes an error of the caller's out of what broke the body off. */
  explain: ((error: unknown) => unknown) | undefined;

  constructor(controller: Dispatcher.DispatchController) {
    this.#controller = controller;
  }

  /** The reader is slow, not the sender. */
  get paused(): boolean {
    return this.#controller.paused;
  }

  push(chunk: Buffer): void {
    if (this.#reader !== undefined && !this.#wantsAll) {
      const { resolve } = this.#reader;
      this.#reader = undefined;
      resolve({ value: chunk, done: false });
      return;
    }
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > mostWaitingBytes && !this.#wantsAll) this.#controller.pause();
  }

  end(): void {
    this.over = true;
    this.#settle();
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.#failure = { error: this.explain === undefined ? error : this.explain(error) };
    this.#settle();
  }

  #settle(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    this.#reader = undefined;
    if (this.#failure === undefined) reader.resolve({ value: undefined, done: true });
    else reader.reject(this.#failure.error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#waitingBytes -= chunk.length;
      if (this.paused && this.#waitingBytes < mostWaitingBytes / 2) this.#controller.resume();
      return Promise.resolve({ value: chunk, done: false });
    }
    return this.#untilMore();
  }

  /** A reader that leaves its loop early. */
  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.cancel();
    return Promise.resolve({ value: undefined, done: true });
  }

  /** All of it in one piece: the socket's own buffer where it came in one. */
  async bytes(): Promise<Buffer> {
    this.#wantsAll = true;
    if (this.paused) this.#controller.resume();
    await this.#untilMore();
    const [first] = this.#chunks;
    if (first === undefined) return Buffer.alloc(0);
    return this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks);
  }

  cancel(): void {
    // What has come already is not wanted either.
    this.#chunks.length = 0;
    if (this.over) return;
    this.#controller.abort(new Error('the body was given up by its reader'));
    this.fail(new Error('the body was given up'));
  }

  #untilMore(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error as Error);
    if (this.over) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }
}
