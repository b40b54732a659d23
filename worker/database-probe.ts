import pg from 'pg';
import { MusterError } from '../workflows/engine/errors.ts';

/** Asks a database whether it is there, over one kept session that is opened anew when it breaks. */
export interface DatabaseProbe {
  /** @throws MusterError DATABASE_UNREACHABLE within the limit, without the address or a secret */
  look(signal: AbortSignal): Promise<void>;
  /** Runs one statement on the kept session. */
  query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]>;
  close(): void;
}

export function openDatabaseProbe(url: string, limitMs: number): DatabaseProbe {
  let client: pg.Client | null = null;
  const drop = (): void => {
    // A session to a silent host never ends by itself; its socket is thrown away.
    const old = client as (pg.Client & { connection?: { stream?: { destroy(): void } } }) | null;
    client = null;
    old?.connection?.stream?.destroy();
  };
  const session = async (): Promise<pg.Client> => {
    if (client !== null) return client;
    const fresh = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: limitMs,
      query_timeout: limitMs,
      application_name: 'muster-watch',
    });
    fresh.on('error', () => {
      if (client === fresh) client = null;
    });
    await fresh.connect();
    client = fresh;
    return fresh;
  };
  const query = async <R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> => {
    try {
      return (await (await session()).query<R>(text, values)).rows;
    } catch (err) {
      drop();
      const code = err instanceof Error && 'code' in err && typeof err.code === 'string' ? err.code : 'no answer';
      throw new MusterError('DATABASE_UNREACHABLE', code);
    }
  };
  return {
    look: async (signal) => {
      signal.addEventListener('abort', drop, { once: true });
      await query('SELECT 1');
      signal.removeEventListener('abort', drop);
    },
    query,
    close: drop,
  };
}
