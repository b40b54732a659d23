import type { IncomingMessage, ServerResponse } from 'node:http';
import { decideMode, decideRoute, type Decision, type EntryMode, type RouteState } from './route-state.ts';
import { writeState } from './state-file.ts';
import { Traffic, type SiteStats } from './traffic.ts';
import { Upstream, type ForwardedRequest, type UpstreamLimits, type UpstreamOutcome } from './upstream.ts';
import { answer, forwardable, outcomeHeader, readBody } from './http.ts';

export interface ProxyLimits extends UpstreamLimits {
  /** How long a request waits while the entry holds, milliseconds; then it is refused. */
  holdMs: number;
}

/** What the admin API shows. */
export interface EntryState {
  epoch: number;
  mode: EntryMode;
  route: string | null;
  routeEpoch: number;
  routedAtMs: number | null;
  upstreams: { site: string; url: string; weight: number; healthy: boolean; answers: boolean }[];
  inFlight: Record<string, number>;
  held: number;
  stats: Record<string, SiteStats>;
  /** Distinct clients that tried to write in the ten seconds before the last route. */
  writersBeforeRoute: number;
  /** Distinct clients that tried to write in the last ten seconds. */
  writersNow: number;
}

interface Exchange {
  request: ForwardedRequest;
  response: ServerResponse;
  isWrite: boolean;
  clientId: string | null;
  heldAtMs: number;
}

const sweepMs = 50;
const writersWindowMs = 10_000;
const maxHeld = 10_000;

/** The path of every request, and the switch that moves all of them at once. */
export class Proxy {
  readonly traffic: Traffic;
  readonly #upstreams: Map<string, Upstream>;
  readonly #limits: ProxyLimits;
  readonly #file: string;
  readonly #sweep: NodeJS.Timeout;
  /** Oldest first. */
  readonly #held = new Set<Exchange>();
  #state: RouteState;
  #writersBeforeRoute = 0;
  #changes: Promise<unknown> = Promise.resolve();

  constructor(options: {
    upstreams: { site: string; url: string }[];
    state: RouteState;
    file: string;
    limits: ProxyLimits;
  }) {
    this.#limits = options.limits;
    this.#state = options.state;
    this.#file = options.file;
    this.#upstreams = new Map(
      options.upstreams.map(({ site, url }) => [site, new Upstream(site, url, options.limits)]),
    );
    this.traffic = new Traffic([...this.#upstreams.keys()]);
    this.#sweep = setInterval(() => this.#expire(), sweepMs);
  }

  async handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(message, response);
    if (body === undefined) return;
    const method = message.method ?? 'GET';
    const isWrite = method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS';
    const id = message.headers['x-client-id'];
    const clientId = typeof id === 'string' ? id : null;
    if (isWrite && clientId !== null) this.traffic.sawWriter(clientId, Date.now());
    const request = { method, path: message.url ?? '/', headers: forwardable(message.rawHeaders), body };
    this.#admit({ request, response, isWrite, clientId, heldAtMs: 0 });
  }

  state(): EntryState {
    const { epoch, mode, route, routeEpoch, routedAtMs } = this.#state;
    const upstreams = [...this.#upstreams.values()];
    return {
      ...{ epoch, mode, route, routeEpoch, routedAtMs },
      upstreams: upstreams.map(({ site, url, healthy, answers }) => {
        return { site, url, weight: site === route ? 100 : 0, healthy, answers };
      }),
      inFlight: Object.fromEntries(upstreams.map(({ site, inFlight }) => [site, inFlight])),
      held: this.#held.size,
      stats: this.traffic.stats(),
      writersBeforeRoute: this.#writersBeforeRoute,
      writersNow: this.traffic.writersSeen(writersWindowMs, Date.now()),
    };
  }

  /** @returns null when done, else why it was refused */
  async route(order: { epoch: number; site: string; token: string }): Promise<string | null> {
    if (!this.#upstreams.has(order.site)) return `no upstream is called ${order.site}`;
    return this.#change(() => decideRoute(this.#state, order, Date.now()));
  }

  /** @returns null when done, else why it was refused */
  async setMode(order: { epoch: number; mode: EntryMode; breakOff?: string | undefined }): Promise<string | null> {
    const refusal = await this.#change(() => decideMode(this.#state, order));
    // Their clients learn now, and not at the switch, that nobody knows what came of it.
    if (refusal === null && order.breakOff !== undefined) this.#upstreams.get(order.breakOff)?.abortAll();
    return refusal;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#changes;
    for (const exchange of this.#held) this.#refuse(exchange);
    this.#held.clear();
    await Promise.all([...this.#upstreams.values()].map((upstream) => upstream.close()));
  }

  /** One change at a time: durable first, then in force within one turn of the event loop. */
  #change(decide: () => Decision): Promise<string | null> {
    const change = this.#changes.then(async () => {
      const decision = decide();
      if (decision.kind === 'refuse') return decision.error;
      if (decision.kind === 'apply') {
        await writeState(this.#file, decision.next);
        this.#apply(decision.next);
      }
      return null;
    });
    this.#changes = change.catch(() => {});
    return change;
  }

  #apply(next: RouteState): void {
    const routed = next.routedAtMs !== this.#state.routedAtMs;
    this.#state = next;
    if (routed) {
      this.#writersBeforeRoute = this.traffic.writersSeen(writersWindowMs, Date.now());
      this.traffic.routed();
    }
    for (const upstream of this.#upstreams.values()) {
      if (next.mode === 'closed' || (routed && upstream.site !== next.route)) upstream.abortAll();
    }
    if (next.mode === 'hold') return;
    const held = [...this.#held];
    this.#held.clear();
    for (const exchange of held) this.#admit(exchange);
  }

  #admit(exchange: Exchange): void {
    const upstream = this.#upstreams.get(this.#state.route ?? '');
    if (this.#state.mode === 'closed' || upstream === undefined) return this.#refuse(exchange);
    if (this.#state.mode === 'hold') return this.#hold(exchange);
    upstream.send(exchange.request, (outcome) => this.#settle(exchange, upstream, outcome));
  }

  #hold(exchange: Exchange): void {
    if (this.#held.size >= maxHeld) return this.#refuse(exchange);
    exchange.heldAtMs = performance.now();
    this.#held.add(exchange);
    this.traffic.held(this.#state.route ?? '', Date.now());
  }

  #settle(exchange: Exchange, upstream: Upstream, outcome: UpstreamOutcome): void {
    const { response, isWrite, clientId } = exchange;
    if (outcome.kind === 'response') {
      const unknown = outcome.headers[outcomeHeader] === 'unknown';
      if (outcome.status >= 500 || unknown) this.traffic.failed(upstream.site, Date.now());
      else this.traffic.succeeded(upstream.site, clientId, isWrite && outcome.status < 300, Date.now());
      return answer(response, outcome.status, outcome.headers, outcome.body);
    }
    // Surely not sent, and the way has changed meanwhile: it may go the new one.
    const moved = this.#state.route !== upstream.site || this.#state.mode !== 'open';
    if (!outcome.sent && moved && !outcome.timedOut) return this.#admit(exchange);
    this.traffic.failed(upstream.site, Date.now());
    const status = !outcome.sent ? 503 : outcome.timedOut ? 504 : 502;
    answer(response, status, { [outcomeHeader]: outcome.sent ? 'unknown' : 'refused' }, null);
  }

  #refuse({ response }: Exchange): void {
    this.traffic.failed(this.#state.route ?? '', Date.now());
    answer(response, 503, { [outcomeHeader]: 'refused', 'retry-after': '1' }, null);
  }

  #expire(): void {
    for (const upstream of this.#upstreams.values()) upstream.expire();
    const limit = performance.now() - this.#limits.holdMs;
    for (const exchange of this.#held) {
      if (exchange.heldAtMs > limit) return;
      this.#held.delete(exchange);
      this.#refuse(exchange);
    }
  }
}
