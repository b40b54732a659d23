import type { Socket } from 'node:net';
import pg from 'pg';
import { MusterError, type ErrorCode } from '../../../workflows/engine/errors.ts';
import { addressOf, parseDatabaseUrl, placeOf } from './conninfo.ts';

export type SqlClient = pg.Client;

export interface SqlOptions {
  /** Limit for connecting, log-in included, milliseconds. */
  connectMs?: number;
  /** Limit for each statement, milliseconds; kept by the server and, should that be frozen, by this side. */
  statementMs?: number;
  /** `admin`: may write while the database is closed for clients, and never waits for a synchronous standby. */
  role?: 'admin' | 'client';
  /** `application_name`, by which the guard's own sessions are told from others. */
  name?: string;
  signal?: AbortSignal;
}

const FROZEN_SERVER_GRACE_MS = 250;

/** Connects, or throws DATABASE_UNREACHABLE naming host and port, never the password. End it with `dropSql`. */
export async function connectSql(url: string, options: SqlOptions = {}): Promise<SqlClient> {
  const statementMs = options.statementMs ?? 1_000;
  const client = new pg.Client({
    ...loginOf(url),
    connectionTimeoutMillis: options.connectMs ?? 1_000,
    statement_timeout: statementMs,
    query_timeout: statementMs + FROZEN_SERVER_GRACE_MS,
    keepAlive: true,
    application_name: options.name ?? 'muster',
    ...(options.role === 'client'
      ? {}
      : { options: '-c default_transaction_read_only=off -c synchronous_commit=local' }),
  });
  client.on('error', () => undefined); // the next query reports it
  const abort = (): void => dropSql(client);
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    await client.connect();
    return client;
  } catch (err) {
    dropSql(client);
    throw unreachable(url, err);
  } finally {
    if (options.signal?.aborted) dropSql(client);
  }
}

/** Ends a connection without waiting for the other side, which may be frozen. */
export function dropSql(client: SqlClient): void {
  void client.end().catch(() => undefined);
  streamOf(client).destroy();
}

/**
 * Runs `work` on a connection of its own. What the server or the connection says comes out as MusterError, with the
 * SQLSTATE in its message; a bug in `work` comes out as it is.
 */
export async function withSql<T>(
  url: string,
  options: SqlOptions,
  work: (client: SqlClient) => Promise<T>,
): Promise<T> {
  const client = await connectSql(url, options);
  try {
    return await work(client);
  } catch (err) {
    throw isBug(err) ? err : sqlError(url, err);
  } finally {
    dropSql(client);
  }
}

/** First row of a query, or `null`. */
export async function oneRow<Row extends pg.QueryResultRow>(
  client: SqlClient,
  text: string,
  values: unknown[] = [],
): Promise<Row | null> {
  const { rows } = await client.query<Row>(text, values);
  return rows[0] ?? null;
}

/** SQLSTATE of an error of the server, `null` for anything else. */
export function sqlState(err: unknown): string | null {
  const at = err instanceof MusterError ? err.cause : err;
  return at instanceof pg.DatabaseError ? (at.code ?? null) : null;
}

/** Turns what a query threw into an operator's error: no password, no statement text. */
export function sqlError(url: string, err: unknown, code: ErrorCode = 'DATABASE_UNREACHABLE'): MusterError {
  if (err instanceof MusterError) return err;
  if (err instanceof pg.DatabaseError) {
    return new MusterError(code, `${placeOf(url)}: ${withoutPassword(url, err.message)} (${err.code ?? 'no code'})`, {
      cause: err,
    });
  }
  return unreachable(url, err);
}

function isBug(err: unknown): boolean {
  return err instanceof TypeError || err instanceof RangeError || err instanceof ReferenceError;
}

function unreachable(url: string, err: unknown): MusterError {
  const why = err instanceof Error ? err.message || ('code' in err ? String(err.code) : err.name) : String(err);
  return new MusterError('DATABASE_UNREACHABLE', `${placeOf(url)} does not answer: ${withoutPassword(url, why)}`, {
    cause: err,
  });
}

function withoutPassword(url: string, text: string): string {
  const password = parseDatabaseUrl(url).password;
  if (password === '') return text;
  return text.replaceAll(decodeURIComponent(password), '***').replaceAll(password, '***');
}

function loginOf(url: string): pg.ClientConfig {
  const parsed = parseDatabaseUrl(url);
  const address = addressOf(url);
  const wantsTls = !['', 'disable', 'allow', 'prefer'].includes(parsed.searchParams.get('sslmode') ?? '');
  return {
    ...address,
    // A host that is a directory, percent-encoded, holds the server's Unix socket, as in libpq's addresses.
    host: decodeURIComponent(address.host),
    password: decodeURIComponent(parsed.password),
    // As libpq: `require` encrypts, `verify-*` also checks the certificate.
    ssl: wantsTls ? { rejectUnauthorized: parsed.searchParams.get('sslmode') !== 'require' } : false,
  };
}

interface ClientInside {
  connection: { stream: Socket };
}

/** The socket below a client; the package does not type it. */
export function streamOf(client: SqlClient): Socket {
  return (client as unknown as ClientInside).connection.stream;
}

/**
 * Opens a connection for the replication protocol and hands over its socket, logged in and idle. `name` is what
 * `pg_stat_replication` and `synchronous_standby_names` call it. An encrypted connection does not use `makeSocket`.
 */
export async function connectReplication(
  url: string,
  connectMs: number,
  name = 'muster',
  makeSocket?: () => Socket,
): Promise<Socket> {
  const login = loginOf(url);
  const config = {
    ...login,
    ...(makeSocket !== undefined && login.ssl === false && { stream: makeSocket }),
    replication: 'true',
    connectionTimeoutMillis: connectMs,
    application_name: name,
    keepAlive: true,
  };
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (err) {
    dropSql(client);
    throw unreachable(url, err);
  }
  const socket = streamOf(client);
  socket.removeAllListeners('data');
  socket.removeAllListeners('end');
  socket.removeAllListeners('close');
  socket.pause();
  return socket;
}
