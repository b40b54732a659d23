import { type Dispatcher } from 'undici';
import { type ObjectLimits } from '../place.ts';
import { type PutBody } from '../types.ts';
import { IncomingBody } from './incoming.ts';
import { type BodyWatch, outgoing } from './outgoing.ts';

export interface Outgoing {
  method: Dispatcher.HttpMethod;
  /** With the query, percent-encoded; sent exactly so. */
  path: string;
  headers: Record<string, string>;
  body?: PutBody | undefined;
  signal?: AbortSignal | undefined;
  /** For everything but the bodies' own time. */
  timeoutMs: number;
  /** The try before was broken off while its body was sent: the answer may come before the body is wanted. */
  careful?: boolean;
  /** Told once, when the body has been sent or was given up: how long that took. */
  onBodyTime?: (ms: number) => void;
}

export interface Incoming {
  status: number;
  /** Lower-case names; a header that came twice, joined by a comma. Values byte for byte (Latin-1). */
  headers: Readonly<Record<string, string>>;
  body: IncomingBody;
}

type Phase = 'queued' | 'sending' | 'waiting' | 'receiving' | 'over';

/** No answer came, or only a part of one. */
export class ExchangeLost extends Error {
  /** The request may have reached the server and have had its effect. */
  readonly sent: boolean;
  /** It broke off while the body was on its way, as when a server refuses without reading it. */
  readonly whileSending: boolean;
  constructor(why: string, phase: Phase, cause?: unknown) {
    super(why, { cause });
    this.sent = phase !== 'queued';
    this.whileSending = phase === 'sending';
  }
}

export interface Begun {
  request: Outgoing;
  limits: Required<ObjectLimits>;
  resolve: (answer: Incoming) => void;
  reject: (error: unknown) => void;
  over: () => void;
}

/** How long a careful try waits for an early answer, milliseconds. */
const carefulMs = 1_000;

/** One request and its answer, as undici tells of them. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #begun: Begun;
  #controller: Dispatcher.DispatchController | undefined;
  #body: IncomingBody | undefined;
  #phase: Phase = 'queued';
  #movedAtMs = performance.now();
  #deadlineAtMs: number;
  #sendingSinceMs = 0;
  #sourceIsSlow = false;
  #onAbort: (() => void) | undefined;
  #onTurn: (() => void) | undefined;
  #careful: boolean;
  #source: AsyncIterator<Uint8Array> | undefined;

  constructor(begun: Begun) {
    this.#begun = begun;
    this.#careful = begun.request.careful ?? false;
    this.#deadlineAtMs = this.#movedAtMs + begun.request.timeoutMs;
  }

  begin(pool: Dispatcher): void {
    const { method, path, headers, signal, body } = this.#begun.request;
    if (signal?.aborted === true) {
      this.#finish(signal.reason);
      return;
    }
    if (signal !== undefined) {
      this.#onAbort = () => this.#giveUp(signal.reason);
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    const sent = body === undefined ? null : outgoing(body, this.#bodyWatch());
    if (sent !== null && !Buffer.isBuffer(sent)) headers['content-length'] = String(lengthOf(body!));
    // Without `reset` undici would close the connection after every HEAD.
    pool.dispatch({ method, path, headers, body: sent as Buffer, reset: false }, this);
  }

  #bodyWatch(): BodyWatch {
    return {
      moved: () => this.#moved(),
      waitsForSource: (waits) => {
        if (this.#sendingSinceMs === 0) this.#sendingSinceMs = performance.now();
        if (this.#phase === 'waiting') this.#phase = 'sending';
        this.#sourceIsSlow = waits;
        this.#moved();
      },
      sent: () => {
        if (this.#phase === 'sending') this.#phase = 'waiting';
        this.#moved();
        this.#deadlineAtMs += this.#tellBodyTime();
        this.#source = undefined;
      },
      opened: (source) => {
        this.#source = source;
        if (this.#phase === 'over') this.#closeSource();
      },
      failed: (error) => this.#giveUp(error),
      careful: this.#careful,
      hold: () => this.#hold(),
    };
  }

  /** Why a body under way must wait; undefined: it need not. */
  #hold(): Promise<void> | undefined {
    const careful = this.#phase === 'sending' && this.#careful;
    this.#careful = false;
    if (!careful && this.#phase !== 'receiving') return undefined;
    this.#sourceIsSlow = true;
    return new Promise((resolve) => {
      // With an answer begun until the exchange is over, which ends the connection.
      const timer = careful ? setTimeout(resolve, carefulMs) : undefined;
      this.#onTurn = () => {
        clearTimeout(timer);
        this.#sourceIsSlow = false;
        resolve();
      };
    });
  }

  /** undici leaves a source where it is when the connection ends under it; it may hold a connection itself. */
  #closeSource(): void {
    const source = this.#source;
    this.#source = undefined;
    // What it throws now, nobody waits for any more.
    source?.return?.().catch(() => {});
  }

  /** Answered, or over. */
  #turned(): void {
    this.#onTurn?.();
    this.#onTurn = undefined;
  }

  /** The time of the body is not the call's. */
  #tellBodyTime(): number {
    if (this.#sendingSinceMs === 0) return 0;
    const bodyMs = performance.now() - this.#sendingSinceMs;
    this.#sendingSinceMs = 0;
    this.#begun.request.onBodyTime?.(bodyMs);
    return bodyMs;
  }

  #moved(): void {
    this.#movedAtMs = performance.now();
  }

  /** Called now and then by the transport: gives up what takes too long. */
  judge(nowMs: number): void {
    const { answerMs, stallMs } = this.#begun.limits;
    const stillMs = nowMs - this.#movedAtMs;
    if (this.#phase === 'over') return;
    if (this.#phase === 'receiving') {
      if (this.#body!.paused) this.#moved();
      else if (stillMs > stallMs) this.#lose(`the answer stopped for ${stallMs} ms`);
      return;
    }
    if (this.#phase === 'sending') {
      if (!this.#sourceIsSlow && stillMs > stallMs) this.#lose(`the server took nothing of the body for ${stallMs} ms`);
      return;
    }
    if (nowMs > this.#deadlineAtMs)
      this.#lose(`no answer within the deadline, which left ${Math.round(this.#begun.request.timeoutMs)} ms`);
    else if (this.#phase === 'waiting' && stillMs > answerMs) this.#lose(`no answer within ${answerMs} ms`);
  }

  #lose(why: string): void {
    this.#giveUp(new ExchangeLost(why, this.#phase));
  }

  #giveUp(error: unknown): void {
    if (this.#phase === 'over') return;
    this.#finish(error);
    this.#controller?.abort(error instanceof Error ? error : new Error('aborted'));
  }

  /** Once, and last, when it went wrong. */
  #finish(error: unknown): void {
    this.#leave();
    if (this.#body === undefined) this.#begun.reject(error);
    else this.#body.fail(error);
  }

  #leave(): void {
    const { over, request } = this.#begun;
    this.#phase = 'over';
    this.#tellBodyTime();
    if (this.#onAbort !== undefined) request.signal?.removeEventListener('abort', this.#onAbort);
    over();
    this.#turned();
    this.#closeSource();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase === 'over') {
      controller.abort(new Error('given up while it waited'));
      return;
    }
    this.#phase = 'waiting';
    this.#moved();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200 || this.#phase === 'over') return;
    this.#phase = 'receiving';
    this.#moved();
    this.#turned();
    this.#body = new IncomingBody(controller);
    for (const name in headers) {
      const value = headers[name];
      if (Array.isArray(value)) headers[name] = value.join(',');
    }
    this.#begun.resolve({ status, headers: headers as Record<string, string>, body: this.#body });
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#moved();
    this.#body?.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#phase === 'over') return;
    this.#leave();
    this.#body?.end();
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#phase === 'over') return;
    const code = 'code' in error ? ` (${String(error.code)})` : '';
    this.#finish(new ExchangeLost(`${error.message}${code}`, this.#phase, error));
  }
}

function lengthOf(body: PutBody): number {
  return body instanceof Uint8Array ? body.length : body.sizeBytes;
}
