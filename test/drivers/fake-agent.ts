import { createServer, type Server } from 'node:http';
import type { EpochRequest, GranterState, GuardState, StopGrantingRequest } from '../../activities/guard/protocol.ts';

/** A granter (and guard) that says what a test tells it to. */
export class FakeAgent {
  readonly site: string;
  readonly calls: { path: string; body: unknown }[] = [];
  readonly #server: Server;
  url = '';
  granter: GranterState = { service: 'shop', epoch: 1, holder: 'hangzhou', stoppedThrough: 0, remainingMs: 0 };
  guard: GuardState = {
    service: 'shop',
    resource: 'orders',
    epoch: 1,
    state: 'open',
    leaseRemainingMs: 1_500,
    why: '',
  };
  /** What happens when the guard is told to close; default: it refuses to answer. */
  onClose: (() => Promise<{ state: GuardState['state']; finalLsn: string | null }>) | null = null;
  /** What happens when a holder is named. */
  onEpoch: ((epoch: number, holder: string) => Promise<void>) | null = null;

  constructor(site: string) {
    this.site = site;
    this.#server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        const path = request.url ?? '';
        const body: unknown = text === '' ? null : JSON.parse(text);
        this.calls.push({ path, body });
        void this.#answer(path, body)
          .catch((err: unknown) => ({ status: 500, json: { error: String(err) } }))
          .then((answer) => {
            if (answer === null) return; // it never answers
            response.writeHead(answer.status, { 'content-type': 'application/json' });
            response.end(JSON.stringify(answer.json));
          });
      });
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    this.url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  called(path: string): unknown[] {
    return this.calls.filter((call) => call.path === path).map((call) => call.body);
  }

  async #answer(path: string, body: unknown): Promise<{ status: number; json: unknown } | null> {
    if (path === '/v1/state') {
      return { status: 200, json: { site: this.site, granters: [this.granter], guards: [this.guard], vantage: [] } };
    }
    if (path === '/v1/stop-granting') {
      const { throughEpoch } = body as StopGrantingRequest;
      this.granter = { ...this.granter, stoppedThrough: throughEpoch };
      return { status: 200, json: { kind: 'stopped', throughEpoch, remainingMs: this.granter.remainingMs } };
    }
    if (path === '/v1/epoch') return this.#takeEpoch(body as EpochRequest);
    if (path === '/v1/guard/close') {
      const closed = await this.onClose?.();
      if (closed === undefined) return null;
      this.guard = { ...this.guard, state: closed.state, leaseRemainingMs: 0 };
      return { status: 200, json: { kind: 'closed', ...closed } };
    }
    return { status: 404, json: { error: 'no such path' } };
  }

  async #takeEpoch({ epoch, holder }: EpochRequest): Promise<{ status: number; json: unknown }> {
    const { granter } = this;
    const same = epoch === granter.epoch && holder === granter.holder;
    if (!same && epoch <= Math.max(granter.epoch, granter.stoppedThrough)) {
      return {
        status: 409,
        json: { error: `epoch ${granter.epoch} is held by ${granter.holder}`, code: 'EPOCH_STALE' },
      };
    }
    this.granter = { ...granter, epoch, holder };
    await this.onEpoch?.(epoch, holder);
    return { status: 200, json: this.granter };
  }
}
