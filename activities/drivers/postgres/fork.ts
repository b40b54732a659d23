import { oneRow, type SqlClient } from './sql.ts';

/** What a promotion noted about where its history parted from the old one (`promote.ts`). */
export interface Fork {
  /** Every transaction below this number came from the old history, every other from the new one. */
  firstXid: bigint;
  /** Every transaction below this number had ended when the histories parted. */
  oldestXid: bigint | null;
}

export async function readFork(writer: SqlClient, timeline: number): Promise<Fork | null> {
  const row = await oneRow<{ first_xid: string; oldest_xid: string | null }>(
    writer,
    'SELECT first_xid, oldest_xid FROM muster.fork WHERE timeline = $1',
    [timeline],
  ).catch(() => null);
  if (row === null) return null;
  return { firstXid: BigInt(row.first_xid), oldestXid: row.oldest_xid === null ? null : BigInt(row.oldest_xid) };
}

/** Tells versions of rows from before the fork from those written after it, on either side. */
export class ForkJudge {
  readonly #fork: Fork;
  readonly #old: SqlClient;
  readonly #writer: SqlClient;
  readonly #next: { old: bigint; writer: bigint };
  readonly #committed = new Map<bigint, boolean>();
  readonly #times = new Map<string, string | null>();

  private constructor(
    fork: Fork,
    clients: { old: SqlClient; writer: SqlClient },
    next: { old: bigint; writer: bigint },
  ) {
    this.#fork = fork;
    this.#old = clients.old;
    this.#writer = clients.writer;
    this.#next = next;
  }

  static async start(fork: Fork, old: SqlClient, writer: SqlClient): Promise<ForkJudge> {
    const [nextOld, nextWriter] = await Promise.all([nextXid(old), nextXid(writer)]);
    return new ForkJudge(fork, { old, writer }, { old: nextOld, writer: nextWriter });
  }

  /** Whether the old server wrote this version of a row in a transaction that the new writer never received. */
  async oldWroteAlone(xid: string): Promise<boolean> {
    const full = fullXid(xid, this.#next.old);
    if (full >= this.#fork.firstXid) return true;
    if (this.#fork.oldestXid !== null && full < this.#fork.oldestXid) return false;
    return !(await this.#writerHas(full));
  }

  /** Whether this version of a row on the new writer was there before the histories parted. */
  existedBefore(xid: string): boolean {
    return fullXid(xid, this.#next.writer) < this.#fork.firstXid;
  }

  /** It was still running when the histories parted, or it was not: the new writer knows which it saw end. */
  async #writerHas(full: bigint): Promise<boolean> {
    const known = this.#committed.get(full);
    if (known !== undefined) return known;
    const row = await oneRow<{ status: string | null }>(
      this.#writer,
      'SELECT pg_xact_status($1::text::xid8) AS status',
      [full.toString()],
    );
    // Too old to be remembered: it ended long before.
    const has = (row?.status ?? 'committed') === 'committed';
    this.#committed.set(full, has);
    return has;
  }

  /** When the old server committed a transaction, ISO 8601; `null` when it did not keep that. */
  async committedAt(xid: string): Promise<string | null> {
    const known = this.#times.get(xid);
    if (known !== undefined) return known;
    const time = await commitTime(this.#old, xid);
    this.#times.set(xid, time);
    return time;
  }
}

/** Commit time of a transaction by the server's clock, ISO 8601 in UTC. */
export async function commitTime(client: SqlClient, xid: string): Promise<string | null> {
  // A savepoint, because asking a server that does not keep the times is an error, which would end the transaction.
  await client.query('SAVEPOINT commit_time');
  try {
    const row = await oneRow<{ at: string | null }>(
      client,
      `SELECT to_char(pg_xact_commit_timestamp($1::text::xid) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at`,
      [xid],
    );
    return row?.at ?? null;
  } catch {
    await client.query('ROLLBACK TO SAVEPOINT commit_time');
    return null;
  } finally {
    await client.query('RELEASE SAVEPOINT commit_time');
  }
}

async function nextXid(client: SqlClient): Promise<bigint> {
  const row = await oneRow<{ next: string }>(client, 'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next');
  return BigInt(row?.next ?? 0);
}

/** A row keeps 32 bits of its transaction's number; the newest number with those bits that was given out is meant. */
export function fullXid(xid: string, next: bigint): bigint {
  const low = BigInt(xid);
  const high = next & ~0xffff_ffffn;
  return (high | low) < next ? high | low : (high | low) - 0x1_0000_0000n;
}
