import { randomUUID } from 'node:crypto';
import pg from 'pg';

/** A write that bypassed the entry: straight to one site's database, in a session of its own. */
export interface DirectAck {
  id: string;
  sentAtMs: number;
  ackedAtMs: number;
}

export interface DirectWriter {
  /** Acknowledged writes so far, oldest first. */
  acks(): readonly DirectAck[];
  /** Attempts that were refused, by SQLSTATE or error code. */
  refusals(): Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

const insert = "INSERT INTO orders (id, customer, amount_cents, site) VALUES ($1, 'direct', 1, 'direct')";

/**
 * Writes to one database as fast as asked, never through the entry, and holds on to its session for as long as it can:
 * the client that no switch of the entry can move. A lost session is opened again at once.
 */
export function startDirectWriter(url: string, everyMs: number): DirectWriter {
  const acks: DirectAck[] = [];
  const refusals: Record<string, number> = {};
  let ended = false;
  let client: pg.Client | null = null;

  const connect = async (): Promise<pg.Client> => {
    const fresh = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 1_000,
      application_name: 'direct-writer',
    });
    fresh.on('error', () => {
      if (client === fresh) client = null;
    });
    await fresh.connect();
    return fresh;
  };
  const write = async (): Promise<void> => {
    try {
      client ??= await connect();
      const id = randomUUID();
      const sentAtMs = Date.now();
      await client.query(insert, [id]);
      acks.push({ id, sentAtMs, ackedAtMs: Date.now() });
    } catch (err) {
      const code = err instanceof Error && 'code' in err && typeof err.code === 'string' ? err.code : 'no answer';
      refusals[code] = (refusals[code] ?? 0) + 1;
    }
  };
  const loop = async (): Promise<void> => {
    while (!ended) {
      await write();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
  void loop();
  return {
    acks: () => acks,
    refusals: () => refusals,
    stop: async () => {
      ended = true;
      // Its last write may hang in a server that is gone; nobody waits for it.
      void client?.end().catch(() => undefined);
    },
  };
}
