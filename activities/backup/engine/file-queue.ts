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
  readonly #inFlight = new Set<Promise<void>>();
  #batch: { job: FileJob; done: Done }[] = [];
  #batchBytes = 0;
  #failure: Error | null = null;

  constructor(threads: EngineThreads) {
    this.#threads = threads;
  }

  add(path: RawPath, sizeBytes: number, done: Done): void {
    if (sizeBytes > stretchBytes) return this.#addLarge(path, sizeBytes, done);
    this.#batch.push({ job: { path, offset: 0, length: null }, done });
    this.#batchBytes += sizeBytes;
    if (this.#batch.length >= batchFiles || this.#batchBytes >= batchBytes) this.#send();
  }

  /** What to wait for before more is added; null when there is nothing. Throws what a thread failed with. */
  room(): Promise<unknown> | null {
    this.#throwFailure();
    return this.#inFlight.size < this.#threads.count * batchesPerThread ? null : Promise.race(this.#inFlight);
  }

  /** Sends what is left and waits for all of it. */
  async drain(): Promise<void> {
    this.#send();
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight);
    this.#throwFailure();
  }

  /** Every stretch is a request; the last one reads on to wherever the file ends by then. */
  #addLarge(path: RawPath, sizeBytes: number, done: Done): void {
    const count = Math.ceil(sizeBytes / stretchBytes);
    const outcomes: FileOutcome[] = [];
    let left = count;
    for (let i = 0; i < count; i++) {
      const length = i === count - 1 ? null : stretchBytes;
      this.#ask([{ job: { path, offset: i * stretchBytes, length }, done: (outcome) => take(i, outcome) }]);
    }
    function take(i: number, outcome: FileOutcome): void {
      outcomes[i] = outcome;
      left -= 1;
      if (left === 0) done(joined(outcomes));
    }
  }

  #send(): void {
    if (this.#batch.length > 0) this.#ask(this.#batch);
    this.#batch = [];
    this.#batchBytes = 0;
  }

  #ask(batch: { job: FileJob; done: Done }[]): void {
    const asked = this.#threads.ask({ kind: 'read', jobs: batch.map(({ job }) => job) }).then(
      (answer) => {
        if (answer.kind !== 'read') return;
        for (const [i, outcome] of answer.outcomes.entries()) batch[i]!.done(outcome);
      },
      (err: unknown) => this.#fail(err),
    );
    const settled = asked.catch((err: unknown) => this.#fail(err)).then(() => void this.#inFlight.delete(settled));
    this.#inFlight.add(settled);
  }

  #fail(err: unknown): void {
    this.#failure ??= toMusterError(err);
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}

function joined(outcomes: readonly FileOutcome[]): FileOutcome {
  const saved: Extract<FileOutcome, { kind: 'saved' }>[] = [];
  for (const outcome of outcomes) {
    if (outcome.kind === 'failed') return outcome;
    saved.push(outcome);
  }
  return {
    kind: 'saved',
    ids: Buffer.concat(saved.map(({ ids }) => ids)),
    sizeBytes: saved.reduce((sum, one) => sum + one.sizeBytes, 0),
    changed: saved.some(({ changed }) => changed),
  };
}
