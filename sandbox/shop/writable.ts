import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Runs the triggers of a write and changes nothing, so it meets whatever would refuse an order: recovery, read-only, lease. */
const probe = 'UPDATE orders SET site = site WHERE false';

export interface Writability {
  writable: boolean;
  why: string;
}

/** Keeps asking the database whether it accepts writes, on a connection of its own, so that the answer is always at hand. */
export class WritableProbe {
  readonly #url: string;
  readonly #limitMs: number;
  readonly #everyMs: number;
  #client: pg.Client | null = null;
  #last: Writability & { atMs: number } = { writable: false, why: 'not asked yet', atMs: 0 };
  #closed = false;

  constructor(options: { url: string; limitMs: number; everyMs: number }) {
    this.#url = options.url;
    this.#limitMs = options.limitMs;
    this.#everyMs = options.everyMs;
    void this.#run();
  }

  /** The last answer, as long as it is fresh. */
  now(): Writability {
    const ageMs = performance.now() - this.#last.atMs;
    if (ageMs > this.#everyMs + 2 * this.#limitMs) return { writable: false, why: 'the database does not answer' };
    return { writable: this.#last.writable, why: this.#last.why };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#drop();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      this.#last = { ...(await this.#ask()), atMs: performance.now() };
      await sleep(this.#everyMs, undefined, { ref: false });
    }
  }

  async #ask(): Promise<Writability> {
    try {
      this.#client ??= await this.#connect();
      await this.#client.query(probe);
      return { writable: true, why: 'the database accepts writes' };
    } catch (err) {
      const answered = err instanceof pg.DatabaseError && err.severity === 'ERROR';
      if (!answered) void this.#drop();
      return { writable: false, why: answered ? err.message : 'the database does not answer' };
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#url,
      application_name: 'shop health',
      connectionTimeoutMillis: this.#limitMs,
      query_timeout: this.#limitMs,
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** The other end may be silent, so a farewell is not waited for long. */
  async #drop(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    if (client !== null)
      await Promise.race([client.end().catch(() => {}), sleep(this.#limitMs, undefined, { ref: false })]);
  }
}
