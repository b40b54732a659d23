import { Client, Pool, type Dispatcher } from 'undici';

/** A client's request, read in full so that it can be sent elsewhere as long as it was surely not sent. */
export interface ForwardedRequest {
  method: string;
  path: string;
  /** Flat list of names and values, without those that belong to one connection. */
  headers: string[];
  body: Buffer | null;
}

export type UpstreamOutcome =
  | { kind: 'response'; status: number; headers: Record<string, string | string[] | undefined>; body: Buffer }
  /** `sent: false` is certain: the site has never seen the request. `timedOut`: no answer within the limit. */
  | { kind: 'failed'; sent: boolean; timedOut: boolean };

export interface UpstreamLimits {
  connectMs: number;
  answerMs: number;
  healthEveryMs: number;
  healthMs: number;
}

interface Attempt {
  sent: boolean;
  over: boolean;
  startedAtMs: number;
  controller: Dispatcher.DispatchController | null;
  report: (outcome: UpstreamOutcome) => void;
}

const maxConnections = 256;
const maxResponseBytes = 8 * 1024 * 1024;

/** One site's application behind the entry: a pool of kept-alive connections and a health check on its own connection. */
export class Upstream {
  readonly site: string;
  readonly url: string;
  /** It answers its health check with 200: it accepts writes. */
  healthy = false;
  /** It answers its health check at all. */
  answers = false;
  readonly #limits: UpstreamLimits;
  /** Oldest first. */
  readonly #attempts = new Set<Attempt>();
  #pool: Pool;
  readonly #probe: Client;
  #nextProbe: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(site: string, url: string, limits: UpstreamLimits) {
    this.site = site;
    this.url = url;
    this.#limits = limits;
    this.#pool = this.#newPool();
    this.#probe = new Client(url, { connect: { timeout: limits.healthMs } });
    void this.#check();
  }

  get inFlight(): number {
    return this.#attempts.size;
  }

  send(request: ForwardedRequest, report: (outcome: UpstreamOutcome) => void): void {
    const attempt: Attempt = { sent: false, over: false, startedAtMs: performance.now(), controller: null, report };
    this.#attempts.add(attempt);
    const { method, path, headers, body } = request;
    this.#pool.dispatch({ method: method as Dispatcher.HttpMethod, path, headers, body }, this.#handler(attempt));
  }

  /** Breaks off everything under way at once; each is reported as failed before this returns. */
  abortAll(): void {
    const pool = this.#pool;
    this.#pool = this.#newPool();
    for (const attempt of [...this.#attempts])
      this.#end(attempt, { kind: 'failed', sent: attempt.sent, timedOut: false });
    void pool.destroy(new Error('aborted by the entry')).catch(() => {});
  }

  /** Ends what has waited too long for its answer. */
  expire(): void {
    const limit = performance.now() - this.#limits.answerMs;
    for (const attempt of this.#attempts) {
      if (attempt.startedAtMs > limit) return;
      this.#end(attempt, { kind: 'failed', sent: attempt.sent, timedOut: true });
      attempt.controller?.abort(new Error('no answer in time'));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#nextProbe !== null) clearTimeout(this.#nextProbe);
    this.abortAll();
    await Promise.all([this.#pool.destroy(), this.#probe.destroy()]);
  }

  #newPool(): Pool {
    const { connectMs } = this.#limits;
    // The entry has its own time limits, which also end a request that waits for a connection.
    const timeouts = { headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 60_000 };
    return new Pool(this.url, {
      connections: maxConnections,
      maxResponseSize: maxResponseBytes,
      connect: { timeout: connectMs, noDelay: true },
      ...timeouts,
    });
  }

  #handler(attempt: Attempt): Dispatcher.DispatchHandler {
    let status = 0;
    let headers: Record<string, string | string[] | undefined> = {};
    const chunks: Buffer[] = [];
    return {
      onRequestStart: (controller) => {
        if (attempt.over) return controller.abort(new Error('no longer wanted'));
        attempt.sent = true;
        attempt.controller = controller;
      },
      onResponseStart: (_controller, statusCode, responseHeaders) => {
        status = statusCode;
        headers = responseHeaders;
      },
      onResponseData: (_controller, chunk) => void chunks.push(chunk),
      onResponseEnd: () => {
        const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
        this.#end(attempt, { kind: 'response', status, headers, body });
      },
      onResponseError: () => this.#end(attempt, { kind: 'failed', sent: attempt.sent, timedOut: false }),
    };
  }

  #end(attempt: Attempt, outcome: UpstreamOutcome): void {
    if (attempt.over) return;
    attempt.over = true;
    this.#attempts.delete(attempt);
    attempt.report(outcome);
  }

  async #check(): Promise<void> {
    try {
      const signal = AbortSignal.timeout(this.#limits.healthMs);
      const { statusCode, body } = await this.#probe.request({ method: 'GET', path: '/healthz', signal });
      await body.dump();
      this.answers = true;
      this.healthy = statusCode === 200;
    } catch {
      this.answers = false;
      this.healthy = false;
    }
    if (!this.#closed) this.#nextProbe = setTimeout(() => void this.#check(), this.#limits.healthEveryMs);
  }
}
