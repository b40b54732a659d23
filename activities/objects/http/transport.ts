import { readFileSync } from 'node:fs';
import { type Dispatcher, Pool } from 'undici';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { type ObjectLimits } from '../place.ts';
import { type PutBody } from '../types.ts';
import { IncomingBody } from './incoming.ts';
import { outgoing } from './outgoing.ts';

export interface Outgoing {
  method: Dispatcher.HttpMethod;
  /** With the query, percent-encoded; sent exactly so. */
  path: string;
  headers: Record<string, string>;
  body?: PutBody | undefined;
  signal?: AbortSignal | undefined;
  /** For everything but the bodies' own time. */
  timeoutMs: number;
  /** Told once, when the body has been sent or was given up: how long that took. */
  onBodyTime?: (ms: number) => void;
}

export interface Incoming {
  status: number;
  /** Lower-case names; a header that came twice, joined by a comma. Values byte for byte (Latin-1). */
  headers: Readonly<Record<string, string>>;
  body: IncomingBody;
}

/** No answer came, or only a part of one. */
export class ExchangeLost extends Error {
  /** The request may have reached the server and have had its effect. */
  readonly sent: boolean;
  constructor(why: string, sent: boolean, cause?: unknown) {
    super(why, { cause });
    this.sent = sent;
  }
}

/** HTTP to one endpoint over kept connections. */
export interface Transport {
  /**
   * Resolves with the head of the answer. Rejects with ExchangeLost, with the reason of `signal`, or with what the
   * source of the body threw.
   */
  send(request: Outgoing): Promise<Incoming>;
  close(): Promise<void>;
}

/** @throws MusterError CONFIG_INVALID when the authorities' file cannot be read. */
export function createTransport(
  endpoint: string,
  caFile: string | undefined,
  limits: Required<ObjectLimits>,
): Transport {
  const pool = new Pool(endpoint, {
    connections: limits.connections,
    pipelining: 1,
    // Time is kept here, see `Exchange`: undici's limits know neither a slow source nor a slow reader.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 20_000,
    connect: { timeout: limits.connectMs, ...(caFile === undefined ? {} : { ca: authorities(caFile) }) },
  });
  const active = new Set<Exchange>();
  const tickMs = Math.min(1_000, Math.max(10, Math.min(limits.answerMs, limits.stallMs) / 8));
  let watching: NodeJS.Timeout | undefined;
  const watch = (): void => {
    const nowMs = performance.now();
    for (const exchange of active) exchange.judge(nowMs);
    if (active.size > 0) return;
    clearInterval(watching);
    watching = undefined;
  };
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        const exchange = new Exchange({ request, limits, resolve, reject, over: () => active.delete(exchange) });
        if (!exchange.begin(pool)) return;
        active.add(exchange);
        watching ??= setInterval(watch, tickMs);
      }),
    async close() {
      clearInterval(watching);
      await pool.destroy();
    },
  };
}

function authorities(caFile: string): string {
  try {
    return readFileSync(caFile, 'utf8');
  } catch (cause) {
    throw new MusterError('CONFIG_INVALID', `caFile ${caFile} cannot be read`, { cause });
  }
}

interface Begun {
  request: Outgoing;
  limits: Required<ObjectLimits>;
  resolve: (answer: Incoming) => void;
  reject: (error: unknown) => void;
  over: () => void;
}

/** One request and its answer, as undici tells of them. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #begun: Begun;
  #controller: Dispatcher.DispatchController | undefined;
  #body: IncomingBody | undefined;
  #phase: 'queued' | 'sending' | 'waiting' | 'receiving' | 'over' = 'queued';
  #movedAtMs = performance.now();
  #deadlineAtMs: number;
  #sendingSinceMs = 0;
  #sourceIsSlow = false;
  #onAbort: (() => void) | undefined;

  constructor(begun: Begun) {
    this.#begun = begun;
    this.#deadlineAtMs = this.#movedAtMs + begun.request.timeoutMs;
  }

  /** False: it was over before it began. */
  begin(pool: Dispatcher): boolean {
    const { method, path, headers, signal, body } = this.#begun.request;
    if (signal?.aborted === true) {
      this.#finish(signal.reason);
      return false;
    }
    if (signal !== undefined) {
      this.#onAbort = () => this.#giveUp(signal.reason);
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    const sent = body === undefined ? null : outgoing(body, this.#bodyWatch());
    if (sent !== null && !Buffer.isBuffer(sent)) headers['content-length'] = String(lengthOf(body!));
    // Without `reset` undici would close the connection after every HEAD.
    pool.dispatch({ method, path, headers, body: sent as Buffer, reset: false }, this);
    return true;
  }

  #bodyWatch(): Parameters<typeof outgoing>[1] {
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
      },
      failed: (error) => this.#giveUp(error),
    };
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
    this.#giveUp(new ExchangeLost(why, this.#phase !== 'queued'));
  }

  #giveUp(error: unknown): void {
    if (this.#phase === 'over') return;
    this.#finish(error);
    this.#controller?.abort(error instanceof Error ? error : new Error('aborted'));
  }

  /** Once, and last. */
  #finish(error: unknown): void {
    const { reject, over, request } = this.#begun;
    this.#phase = 'over';
    this.#tellBodyTime();
    if (this.#onAbort !== undefined) request.signal?.removeEventListener('abort', this.#onAbort);
    over();
    if (this.#body === undefined) reject(error);
    else this.#body.fail(error);
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
    const { over, request } = this.#begun;
    this.#phase = 'over';
    if (this.#onAbort !== undefined) request.signal?.removeEventListener('abort', this.#onAbort);
    over();
    this.#body?.end();
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#phase === 'over') return;
    const code = 'code' in error ? ` (${String(error.code)})` : '';
    this.#finish(new ExchangeLost(`${error.message}${code}`, this.#phase !== 'queued', error));
  }
}

function lengthOf(body: PutBody): number {
  return body instanceof Uint8Array ? body.length : body.sizeBytes;
}
