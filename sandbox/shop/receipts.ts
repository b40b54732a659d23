import { createHash } from 'node:crypto';
import { Agent, request } from 'undici';
import { signRequest, type S3Credentials } from '../../activities/s3/sign.ts';
import type { Order } from './orders.ts';

export interface ReceiptsOptions {
  /** The nodes of the site's storage cluster: any of them serves any request. */
  endpoints: string[];
  bucket: string;
  credentials: S3Credentials;
  /** How long a customer waits for a receipt before the order is answered without, milliseconds. */
  patienceMs?: number;
}

const attemptMs = 500;
const retryEveryMs = 250;
/** Receipts that wait to be written again; when there are more, the oldest is given up and counted. */
const mostPending = 20_000;
const atOnce = 16;

export interface ReceiptCounts {
  written: number;
  pending: number;
  givenUp: number;
}

/**
 * Writes a receipt for every order placed: at once if the storage takes it, else again and again behind the answer.
 * Node after node is used; one that fails or hangs costs a try, not the order.
 */
export class Receipts {
  readonly #options: ReceiptsOptions;
  readonly #agent = new Agent({ connections: 8, connect: { timeout: attemptMs } });
  readonly #pending = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  readonly #mayWrite: () => boolean;
  #next = 0;
  #written = 0;
  #givenUp = 0;
  #draining = false;

  /** @param mayWrite whether this site still writes: what waits must not be written at a site that stands by */
  constructor(options: ReceiptsOptions, mayWrite: () => boolean = () => true) {
    this.#options = options;
    this.#mayWrite = mayWrite;
    this.#timer = setInterval(() => void this.#drain(), retryEveryMs);
  }

  counts(): ReceiptCounts {
    return { written: this.#written, pending: this.#pending.size, givenUp: this.#givenUp };
  }

  /** @returns whether it is written now; otherwise it is pending */
  async write(order: Order, site: string): Promise<boolean> {
    const { id, customer, amountCents } = order;
    const text = JSON.stringify({ id, customer, amountCents, site, atMs: Date.now() });
    const { patienceMs = attemptMs } = this.#options;
    if (await this.#put(id, text, patienceMs)) return true;
    this.#pending.set(id, text);
    for (const oldest of this.#pending.keys()) {
      if (this.#pending.size <= mostPending) break;
      this.#pending.delete(oldest);
      this.#givenUp += 1;
    }
    return false;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#agent.destroy();
  }

  async #drain(): Promise<void> {
    if (this.#draining || this.#pending.size === 0 || !this.#mayWrite()) return;
    this.#draining = true;
    try {
      for (;;) {
        const some = [...this.#pending].slice(0, atOnce);
        const done = await Promise.all(some.map(([id, text]) => this.#put(id, text, attemptMs)));
        for (const [i, [id]] of some.entries()) if (done[i] === true) this.#pending.delete(id);
        if (some.length === 0 || !done.every(Boolean)) return;
      }
    } finally {
      this.#draining = false;
    }
  }

  async #put(id: string, text: string, limitMs: number): Promise<boolean> {
    const { endpoints, bucket, credentials } = this.#options;
    const url = new URL(`/${bucket}/${id}.json`, endpoints[this.#next++ % endpoints.length]);
    const payloadHash = createHash('sha256').update(text).digest('hex');
    const signed = { method: 'PUT', url, headers: { 'content-type': 'application/json' }, payloadHash };
    try {
      const answer = await request(url, {
        method: 'PUT',
        headers: signRequest(signed, credentials, new Date()),
        body: text,
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(limitMs),
      });
      await answer.body.dump();
      if (answer.statusCode !== 200) return false;
      this.#written += 1;
      return true;
    } catch {
      return false;
    }
  }
}
