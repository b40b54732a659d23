import { toMusterError } from '../../../workflows/engine/errors.ts';
import type { RawPath } from '../source/raw-path.ts';
import type { FileJob, FileOutcome } from './read-files.ts';
import type { EngineAnswer, EngineEvent, EngineRequest } from './requests.ts';
import type { Threads } from './threads.ts';

export type EngineThreads = Threads<EngineRequest, EngineAnswer, EngineEvent>;

/** Small files go to the threads together, so that messages cost little; a request is about this large. */
const batchFiles = 64;
const batchBytes = 8 * 2 ** 20;
/** Larger files are read by several threads at once, in stretches of this length. */
const stretchBytes = 256 * 2 ** 20;
const batchesPerThread = 3;

type Done = (outcome: FileOutcome) => void;

/** Files on their way to the threads that read them. */
export class FileQueue {
  readonly #threads: EngineThreads;
  #inFlight = 0;
  readonly #signal: AbortSignal;
  /** Whoever waits for something to be settled. */
  #wakes: (() => void)[] = [];
  #batch: { job: FileJob; done: Done }[] = [];
  #batchBytes = 0;
  #failure: Error | null = null;

  /** Bytes of files whose outcome was told. */
  bytesTold = 0;

  /** @param signal nothing is waited for once it is aborted: `room` and `drain` throw its reason */
  constructor(threads: EngineThreads, signal: AbortSignal) {
    this.#threads = threads;
    this.#signal = signal;
    signal.addEventListener('abort', this.#wake);
  }

  /** Nothing more is added or waited for. */
  end(): void {
    this.#signal.removeEventListener('abort', this.#wake);
  }

  add(path: RawPath, sizeBytes: number, done: Done): void {
    if (sizeBytes > stretchBytes) return this.#addLarge(path, sizeBytes, done);
    const tell: Done = (outcome) => {
      this.bytesTold += bytesOf(outcome);
      done(outcome);
    };
    this.#batch.push({ job: { path, offset: 0, length: null }, done: tell });
    this.#batchBytes += sizeBytes;
    if (this.#batch.length >= batchFiles || this.#batchBytes >= batchBytes) this.#send();
  }

  /** What to wait for before more is added; null when there is nothing. Throws what a thread failed with. */
  room(): Promise<void> | null {
    this.#throwFailure();
    return this.#inFlight < this.#threads.count * batchesPerThread ? null : this.#untilSettled();
  }

  /** Sends what is left and waits for all of it. */
  async drain(): Promise<void> {
    this.#send();
    while (this.#inFlight > 0) {
      this.#throwFailure();
      await this.#untilSettled();
    }
    this.#throwFailure();
  }

  /** Every stretch is a request; the last one reads on to wherever the file ends by then. */
  #addLarge(path: RawPath, sizeBytes: number, done: Done): void {
    const count = Math.ceil(sizeBytes / stretchBytes);
    const outcomes: FileOutcome[] = [];
    let left = count;
    const take = (i: number, outcome: FileOutcome): void => {
      outcomes[i] = outcome;
      left -= 1;
      if (left > 0) return;
      this.bytesTold += outcomes.reduce((sum, one) => sum + bytesOf(one), 0);
      done(joined(outcomes));
    };
    for (let i = 0; i < count; i++) {
      const length = i === count - 1 ? null : stretchBytes;
      this.#ask([{ job: { path, offset: i * stretchBytes, length }, done: (outcome) => take(i, outcome) }]);
    }
  }

  #send(): void {
    if (this.#batch.length > 0) this.#ask(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
  }

  #ask(batch: { job: FileJob; done: Done }[]): void {
    this.#inFlight += 1;
    void this.#threads
      .ask({ kind: 'read', jobs: batch.map(({ job }) => job) })
      .then((answer) => {
        if (answer.kind !== 'read') return;
        for (const [i, outcome] of answer.outcomes.entries()) batch[i]!.done(outcome);
      })
      .catch((err: unknown) => void (this.#failure ??= toMusterError(err)))
      .then(() => {
        this.#inFlight -= 1;
        this.#wake();
      });
  }

  #untilSettled(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakes.push(resolve);
    });
  }

  // One promise for each that waits: a race against one that lives as long as the backup would never let go of them.
  readonly #wake = (): void => {
    const wakes = this.#wakes;
    this.#wakes = [];
    for (const wake of wakes) wake();
  };

  #throwFailure(): void {
    this.#signal.throwIfAborted();
    if (this.#failure !== null) throw this.#failure;
  }
}

const bytesOf = (outcome: FileOutcome): number => (outcome.kind === 'saved' ? outcome.sizeBytes : 0);

function joined(outcomes: readonly FileOutcome[]): FileOutcome {
  const saved: Extract<FileOutcome, { kind: 'saved' }>[] = [];
  for (const outcome of outcomes) {
    if (outcome.kind === 'failed') return outcome;
    saved.push(outcome);
  }
  return {
    kind: 'saved',
    ids: Buffer.concat(saved.map(({ ids }) => ids)),
    sizeBytes: saved.reduce((sum, one) => sum + bytesOf(one), 0),
    changed: saved.some(({ changed }) => changed),
  };
}
