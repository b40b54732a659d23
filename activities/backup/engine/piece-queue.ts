import { toMusterError } from '../../../workflows/engine/errors.ts';
import { hexOf } from '../repository/blob.ts';
import type { EngineThreads } from './file-queue.ts';

/** Pieces travel to the threads together, in buffers of about this size. */
const batchBytes = 4 * 2 ** 20;
const batchesPerThread = 2;

interface Batch {
  bytes: Uint8Array<ArrayBuffer>;
  used: number;
  lengths: number[];
  takers: ((id: string) => void)[];
}

/** Pieces of streams on their way to the threads that hash, compress and store them. */
export class PieceQueue {
  readonly #threads: EngineThreads;
  readonly #inFlight = new Set<Promise<void>>();
  #batch: Batch | null = null;
  #failure: Error | null = null;

  constructor(threads: EngineThreads) {
    this.#threads = threads;
  }

  /** Copies the piece. `take` is given its id, in hexadecimal, in the order in which pieces of one stream were added. */
  add(piece: Uint8Array, take: (id: string) => void): void {
    if (this.#batch !== null && this.#batch.used + piece.length > this.#batch.bytes.length) this.#send();
    const batch = (this.#batch ??= {
      bytes: new Uint8Array(Math.max(batchBytes, piece.length)),
      used: 0,
      lengths: [],
      takers: [],
    });
    batch.bytes.set(piece, batch.used);
    batch.used += piece.length;
    batch.lengths.push(piece.length);
    batch.takers.push(take);
  }

  /** What to wait for before more is added; null when there is nothing. Throws what a thread failed with. */
  room(): Promise<unknown> | null {
    this.#throwFailure();
    return this.#inFlight.size < this.#threads.count * batchesPerThread ? null : Promise.race(this.#inFlight);
  }

  async drain(): Promise<void> {
    this.#send();
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight);
    this.#throwFailure();
  }

  #send(): void {
    const batch = this.#batch;
    if (batch === null) return;
    this.#batch = null;
    const settled: Promise<void> = this.#threads
      .ask({ kind: 'save', bytes: batch.bytes, lengths: batch.lengths }, [batch.bytes.buffer])
      .then((answer) => {
        if (answer.kind !== 'saved') return;
        const ids = hexOf(answer.ids);
        for (const [i, take] of batch.takers.entries()) take(ids.slice(i * 64, i * 64 + 64));
      })
      .catch((err: unknown) => void (this.#failure ??= toMusterError(err)))
      .then(() => void this.#inFlight.delete(settled));
    this.#inFlight.add(settled);
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}
