import { Socket } from 'node:net';
import pg from 'pg';
import { MusterError } from '../../workflows/engine/errors.ts';

/** Runs one statement and gives its rows. */
export interface Sql {
  rows<Row>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** The ledger's database. Every call ends within its limits, also when the server answers nothing. */
export interface LedgerConnection extends Sql {
  /** All statements of `work` or none of them. */
  transact<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const connectMs = 2_000;
const statementMs = 5_000;
/** Our own clock over the server's limit: a server that is gone cannot end its statement for us. */
const answerMs = statementMs + 500;
const closeMs = 2_000;

/**
 * Opens nothing yet: the first statement connects.
 * @throws MusterError CONFIG_INVALID for an address that is none; later LEDGER_UNREACHABLE, naming since when.
 */
export function openConnection(url: string): LedgerConnection {
  const place = placeOf(url);
  const sockets = new Set<Socket>();
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    query_timeout: answerMs,
    idleTimeoutMillis: 30_000,
    application_name: 'muster ledger',
    stream: () => trackedSocket(sockets),
  });
  // A connection that dies while idle is no failure of anybody's call; the next call opens another.
  pool.on('error', () => undefined);
  const failures = failuresOf(place);
  return {
    rows: (text, values) => failures.watch(() => queryRows(pool, text, values)),
    transact: (work) => failures.watch(() => transact(pool, work)),
    close: () => close(pool, sockets),
  };
}

/** `host:port/database`: an address without its user and password. */
function placeOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol))
    throw new MusterError('CONFIG_INVALID', 'the ledger address is not a postgres:// URL');
  return `${parsed.hostname || 'localhost'}:${parsed.port || '5432'}${parsed.pathname}`;
}

function trackedSocket(sockets: Set<Socket>): Socket {
  const socket = new Socket();
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  return socket;
}

async function queryRows<Row>(
  client: pg.Pool | pg.PoolClient,
  text: string,
  values?: readonly unknown[],
): Promise<Row[]> {
  const result = await client.query(text, values === undefined ? [] : [...values]);
  return result.rows as Row[];
}

async function transact<T>(pool: pg.Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // Without a listener a connection that dies between two statements would end the process.
  const onError = (err: Error): void => void (broken = err);
  client.on('error', onError);
  try {
    await client.query('BEGIN');
    const result = await work({ rows: (text, values) => queryRows(client, text, values) });
    await client.query('COMMIT');
    return result;
  } catch (err) {
    broken ??= await rollback(client, err);
    throw err;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

/** @returns the error when the connection cannot be used again */
async function rollback(client: pg.PoolClient, cause: unknown): Promise<Error | undefined> {
  const alive = cause instanceof MusterError || sqlStateOf(cause) !== null;
  if (!alive) return cause instanceof Error ? cause : new Error(String(cause));
  try {
    await client.query('ROLLBACK');
    return undefined;
  } catch (err) {
    return err instanceof Error ? err : new Error(String(err));
  }
}

/** Ends the connections in good order, or in any order when the server does not answer. */
async function close(pool: pg.Pool, sockets: Set<Socket>): Promise<void> {
  const timer = setTimeout(() => sockets.forEach((socket) => socket.destroy()), closeMs);
  await pool.end().catch(() => undefined);
  clearTimeout(timer);
  sockets.forEach((socket) => socket.destroy());
}

/** Remembers since when the database has not answered. */
function failuresOf(place: string): { watch<T>(work: () => Promise<T>): Promise<T> } {
  let downSinceMs: number | null = null;
  return {
    async watch(work) {
      try {
        const result = await work();
        downSinceMs = null;
        return result;
      } catch (err) {
        if (err instanceof MusterError) throw err;
        const reason = unreachableReason(err);
        if (reason === null) throw new MusterError('INTERNAL', `ledger ${place}: ${messageOf(err)}`, { cause: err });
        downSinceMs ??= Date.now();
        const since = new Date(downSinceMs).toISOString();
        throw new MusterError('LEDGER_UNREACHABLE', `ledger ${place} cannot be used since ${since}: ${reason}`, {
          cause: err,
        });
      }
    },
  };
}

/**
 * SQLSTATE classes that say "not now" rather than "wrong statement": connection, authorization, database missing,
 * resources, operator intervention, system error; and a server that takes no writes (25006).
 */
const notNow = /^(08|28|53|57|58)|^(3D000|25006)$/;

function unreachableReason(err: unknown): string | null {
  const state = sqlStateOf(err);
  if (state === '57014') return `no answer within ${statementMs / 1000} s`;
  if (state !== null) return notNow.test(state) ? messageOf(err) : null;
  if (err instanceof TypeError || err instanceof RangeError) return null;
  return messageOf(err);
}

/** SQLSTATE of a server's error; null for everything that never reached a server. */
function sqlStateOf(err: unknown): string | null {
  return err instanceof pg.DatabaseError && typeof err.code === 'string' ? err.code : null;
}

function messageOf(err: unknown): string {
  if (err instanceof AggregateError && err.errors.length > 0) return err.errors.map(messageOf).join('; ');
  return err instanceof Error ? err.message || err.name : String(err);
}
