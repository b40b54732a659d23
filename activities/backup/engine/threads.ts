import { Worker } from 'node:worker_threads';
import { type ErrorCode, MusterError } from '../../../workflows/engine/errors.ts';

/** What crosses between threads. Requests are answered in the order each thread takes them; events are told at any time. */
export type ToThread<Request> = { id: number; request: Request };
export type FromThread<Answer, Event> =
  | { kind: 'answer'; id: number; answer: Answer }
  | { kind: 'failure'; id: number; failure: ThreadFailure }
  | { kind: 'event'; event: Event };

/** An error without its class, which does not survive the way between threads. */
export interface ThreadFailure {
  code: ErrorCode | null;
  message: string;
}

export function toThreadFailure(err: unknown): ThreadFailure {
  if (err instanceof MusterError) return { code: err.code, message: err.message };
  return { code: null, message: err instanceof Error ? (err.stack ?? err.message) : String(err) };
}

function fromThreadFailure({ code, message }: ThreadFailure): MusterError {
  return new MusterError(code ?? 'INTERNAL', message);
}

export interface ThreadsOptions<Event> {
  program: URL;
  count: number;
  /** Given to every thread at its start; must survive structured cloning. */
  data: unknown;
  onEvent?: (event: Event) => void;
  /** How large the young generation of each may grow; default: as large as V8 likes. */
  youngGenerationMiB?: number;
}

interface Waiting<Answer> {
  thread: number;
  resolve: (answer: Answer) => void;
  reject: (err: Error) => void;
}

/**
 * A fixed set of threads that answer requests. A thread that ends by itself fails everything that waits for it and all
 * that is asked later.
 */
export class Threads<Request, Answer, Event = never> {
  readonly #workers: Worker[] = [];
  readonly #load: number[] = [];
  readonly #waiting = new Map<number, Waiting<Answer>>();
  readonly #onEvent: ((event: Event) => void) | undefined;
  #next = 0;
  #broken: Error | null = null;

  constructor(options: ThreadsOptions<Event>) {
    this.#onEvent = options.onEvent;
    for (let i = 0; i < options.count; i++) {
      const worker = new Worker(options.program, {
        workerData: options.data,
        ...(options.youngGenerationMiB !== undefined && {
          resourceLimits: { maxYoungGenerationSizeMb: options.youngGenerationMiB },
        }),
      });
      worker.on('message', (message: FromThread<Answer, Event>) => this.#take(message));
      worker.on('error', (err) => this.#fail(err));
      worker.on('exit', (code) => {
        if (code !== 0) this.#fail(new MusterError('INTERNAL', `a thread of the backup engine ended with ${code}`));
      });
      this.#workers.push(worker);
      this.#load.push(0);
    }
  }

  get count(): number {
    return this.#workers.length;
  }

  /** Asks the thread that has the least to do. */
  ask(request: Request, transfer: ArrayBuffer[] = []): Promise<Answer> {
    let least = 0;
    for (let i = 1; i < this.#load.length; i++) if (this.#load[i]! < this.#load[least]!) least = i;
    return this.askThread(least, request, transfer);
  }

  askThread(thread: number, request: Request, transfer: ArrayBuffer[] = []): Promise<Answer> {
    if (this.#broken !== null) return Promise.reject(this.#broken);
    const id = this.#next++;
    this.#load[thread]! += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { thread, resolve, reject });
      this.#workers[thread]!.postMessage({ id, request } satisfies ToThread<Request>, transfer);
    });
  }

  askAll(request: Request): Promise<Answer[]> {
    return Promise.all(this.#workers.map((_, thread) => this.askThread(thread, request)));
  }

  async end(): Promise<void> {
    this.#broken ??= new MusterError('INTERNAL', 'the threads of the backup engine were ended');
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
    this.#fail(this.#broken);
  }

  #take(message: FromThread<Answer, Event>): void {
    if (message.kind === 'event') return this.#onEvent?.(message.event);
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    this.#load[waiting.thread]! -= 1;
    if (message.kind === 'answer') waiting.resolve(message.answer);
    else waiting.reject(fromThreadFailure(message.failure));
  }

  #fail(err: Error): void {
    this.#broken ??= err;
    for (const { reject } of this.#waiting.values()) reject(err);
    this.#waiting.clear();
  }
}
