import { toMusterError } from '../../../workflows/engine/errors.ts';

/** Tasks side by side, no more than a stated number; the first failure ends it. */
export class TaskLanes {
  readonly #width: number;
  readonly #inFlight = new Set<Promise<void>>();
  #failure: Error | null = null;

  constructor(width: number) {
    this.#width = width;
  }

  /** Resolves once the task has begun. Throws what an earlier one failed with. */
  async run(task: () => Promise<void>): Promise<void> {
    while (this.#inFlight.size >= this.#width) await Promise.race(this.#inFlight);
    this.#throwFailure();
    const ended: Promise<void> = task()
      .catch((err: unknown) => void (this.#failure ??= toMusterError(err)))
      .then(() => void this.#inFlight.delete(ended));
    this.#inFlight.add(ended);
  }

  /** Resolves once all have ended. */
  async drain(): Promise<void> {
    await Promise.all(this.#inFlight);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure;
  }
}
