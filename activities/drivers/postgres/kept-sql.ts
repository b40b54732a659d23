import pg from 'pg';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { connectSql, dropSql, oneRow, sqlError, type SqlClient, type SqlOptions } from './sql.ts';

/**
 * One connection that is kept and made again when it fails. Every call ends within its limits: a connection that ran
 * out of time is dropped, since a frozen server may still carry out what was sent on it.
 */
export class KeptSql {
  readonly #url: string;
  readonly #options: SqlOptions;
  #connected: Promise<{ client: SqlClient; pid: number }> | null = null;
  #newest: SqlClient | null = null;

  constructor(url: string, options: SqlOptions) {
    this.#url = url;
    this.#options = options;
  }

  /** Runs `work` on the connection, side by side with other calls. Throws MusterError. */
  async use<T>(work: (client: SqlClient, pid: number) => Promise<T>): Promise<T> {
    const kept = (this.#connected ??= this.#connect());
    try {
      const { client, pid } = await kept;
      return await work(client, pid);
    } catch (err) {
      if (!isAnswer(err)) this.#forget(kept);
      throw sqlError(this.#url, err);
    }
  }

  /** Process id of its server session, `null` while there is none. */
  async pid(): Promise<number | null> {
    return this.#connected === null ? null : this.#connected.then(({ pid }) => pid).catch(() => null);
  }

  end(): void {
    if (this.#connected !== null) this.#forget(this.#connected);
  }

  async #connect(): Promise<{ client: SqlClient; pid: number }> {
    const client = await connectSql(this.#url, this.#options);
    this.#newest = client;
    // After an error it takes no more questions, though its end may be told later.
    for (const event of ['error', 'end'] as const) client.once(event, () => this.#forgetClient(client));
    try {
      const row = await oneRow<{ pid: number }>(client, 'SELECT pg_backend_pid() AS pid');
      return { client, pid: row?.pid ?? 0 };
    } catch (err) {
      dropSql(client);
      throw err;
    }
  }

  /** A connection that ends late must not take its successor with it. */
  #forgetClient(client: SqlClient): void {
    if (this.#newest === client) this.#connected = null;
  }

  #forget(kept: Promise<{ client: SqlClient }>): void {
    if (this.#connected === kept) this.#connected = null;
    void kept.then(({ client }) => dropSql(client)).catch(() => undefined);
  }
}

/** The server said no, or `work` gave up by itself: the connection is as good as before, and others may be using it. */
function isAnswer(err: unknown): boolean {
  if (err instanceof MusterError) return err.code !== 'DATABASE_UNREACHABLE';
  return err instanceof pg.DatabaseError && err.severity === 'ERROR';
}
