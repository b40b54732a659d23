import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { z } from 'zod';

export const orderSchema = z.strictObject({
  id: z.uuid(),
  customer: z.string().min(1).max(200),
  amountCents: z.int().min(0).max(2_147_483_647),
});
export type Order = z.infer<typeof orderSchema>;

/**
 * `refused`: the order is certainly not placed. `unknown`: it may be, for the database fell silent, ended the session
 * or gave up waiting for its standby after the order was sent.
 */
export type Placed =
  { kind: 'placed' } | { kind: 'known' } | { kind: 'refused'; why: string } | { kind: 'unknown'; why: string };

/**
 * Codes of the warnings with which PostgreSQL says that a commit is local only, because its wait for the standby was
 * cancelled (01000) or ended by a shutdown (57P01): `SyncRepWaitForLSN` in its source.
 */
const localCommitOnly = new Set(['01000', '57P01']);

const farewellMs = 500;

const insert = `INSERT INTO orders (id, customer, amount_cents, site) VALUES ($1, $2, $3, $4)
  ON CONFLICT (id) DO NOTHING`;
const select = `SELECT id, customer, amount_cents AS "amountCents", site, placed_at AS "placedAt" FROM orders WHERE id = $1`;

/** The table of orders behind a pool whose every wait is short. */
export class Orders {
  readonly #pool: pg.Pool;
  readonly #site: string;

  constructor(options: { url: string; site: string; connectMs: number; queryMs: number; maxConnections: number }) {
    this.#site = options.site;
    this.#pool = new pg.Pool({
      connectionString: options.url,
      application_name: `shop ${options.site}`,
      max: options.maxConnections,
      connectionTimeoutMillis: options.connectMs,
      query_timeout: options.queryMs,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
    });
    // A broken connection leaves the pool by itself when it is idle; a query on it fails by itself.
    this.#pool.on('error', () => {});
    this.#pool.on('connect', (client) => client.on('error', () => {}));
  }

  /** Keeps sessions open at the standby too: an application that may be called upon at any moment does not connect first. */
  async keepWarm(sessions: number): Promise<void> {
    const opened = await Promise.allSettled(Array.from({ length: sessions }, () => this.#pool.connect()));
    for (const client of opened) if (client.status === 'fulfilled') client.value.release();
  }

  async place(order: Order): Promise<Placed> {
    let client;
    try {
      client = await this.#pool.connect();
    } catch (err) {
      return { kind: 'refused', why: reason(err) };
    }
    let notice: string | null = null;
    const onNotice = ({ code }: { code?: string | undefined }) => {
      if (code !== undefined && localCommitOnly.has(code)) notice = code;
    };
    client.on('notice', onNotice);
    try {
      const { rowCount } = await client.query(insert, [order.id, order.customer, order.amountCents, this.#site]);
      client.off('notice', onNotice);
      client.release();
      if (notice !== null) return { kind: 'unknown', why: 'the standby has not confirmed it' };
      return { kind: rowCount === 0 ? 'known' : 'placed' };
    } catch (err) {
      client.off('notice', onNotice);
      client.release(!certainlyNot(err));
      return { kind: certainlyNot(err) ? 'refused' : 'unknown', why: reason(err) };
    }
  }

  /** @throws what `pg` throws when the database does not answer */
  async find(id: string): Promise<Record<string, unknown> | null> {
    const { rows } = await this.#pool.query<Record<string, unknown>>(select, [id]);
    return rows[0] ?? null;
  }

  /** A database that is silent is not waited for. */
  async close(): Promise<void> {
    await Promise.race([this.#pool.end(), sleep(farewellMs, undefined, { ref: false })]);
  }
}

/**
 * Whether an error proves that the statement did not take effect: an ERROR from the server rolls it back. A FATAL one
 * ends the session and may come after the commit; without an answer nobody knows.
 */
function certainlyNot(err: unknown): boolean {
  return err instanceof pg.DatabaseError && err.severity === 'ERROR';
}

function reason(err: unknown): string {
  if (err instanceof pg.DatabaseError) return `${err.code ?? 'error'} ${err.message}`;
  return err instanceof Error ? err.message || err.name : String(err);
}
