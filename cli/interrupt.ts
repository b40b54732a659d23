import { constants } from 'node:os';
import { type ExitCode, exitCodes, type SignalExit } from './exit-codes.ts';

/** Why a command stopped before its end: somebody wanted it to. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** As a shell shows a death by this signal. */
  readonly exitCode: SignalExit;
  constructor(signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'SIGPIPE') {
    super(`stopped by ${signal}`);
    this.exitCode = (128 + constants.signals[signal]) as SignalExit;
  }
}

/** After this long what does not stop by itself is left to its own: the process is about to end. */
const graceMs = 3_000;

/**
 * One Ctrl-C may arrive several times: the terminal sends it to every process, and `npx` or a supervisor passes its own
 * on. Nobody means the second time so soon after the first.
 */
const sameMs = 500;

/** Turns the first Ctrl-C into an abort, so that locks are removed; the second ends the process at once. */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #onStopping: () => void;
  #firstMs = 0;
  readonly #signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

  constructor(onStopping: () => void) {
    this.#onStopping = onStopping;
    for (const signal of this.#signals) process.on(signal, this.#take);
    process.stdout.on('error', this.#broken);
  }

  /** Aborted with an `Interrupted`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** null while nobody interrupted. */
  get interrupted(): Interrupted | null {
    return this.signal.aborted ? (this.signal.reason as Interrupted) : null;
  }

  /** Waits for work that heeds the signal; when that takes too long after it, no longer. */
  async race<Result>(work: Promise<Result>): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const given = new Promise<never>((_, reject) => {
      const giveUp = (): void => {
        timer = setTimeout(() => reject(this.signal.reason as Interrupted), graceMs);
      };
      if (this.signal.aborted) giveUp();
      else this.signal.addEventListener('abort', giveUp, { once: true });
    });
    // Whichever is not waited for may still fail.
    work.catch(() => undefined);
    given.catch(() => undefined);
    try {
      return await Promise.race([work, given]);
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    for (const signal of this.#signals) process.off(signal, this.#take);
  }

  /** What a command ends with that failed because it was interrupted; else what it would end with anyway. */
  exitCode(usual: ExitCode): ExitCode {
    return usual === exitCodes.failed ? (this.interrupted?.exitCode ?? usual) : usual;
  }

  readonly #take = (signal: NodeJS.Signals): void => {
    const why = new Interrupted(signal as 'SIGINT');
    const nowMs = performance.now();
    if (this.signal.aborted) {
      if (nowMs - this.#firstMs > sameMs) process.exit(why.exitCode);
      return;
    }
    this.#firstMs = nowMs;
    this.#onStopping();
    this.#controller.abort(why);
  };

  /** Whoever read the output has seen enough (`| head`). */
  readonly #broken = (err: NodeJS.ErrnoException): void => {
    if (err.code === 'EPIPE') this.#controller.abort(new Interrupted('SIGPIPE'));
    else throw err;
  };
}
