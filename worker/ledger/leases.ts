/** Which process looks after a service: one owner at a time, by the database's clock, with an epoch as fencing token. */
import type { Sql } from './connection.ts';
import type { LeaseAnswer } from './types.ts';

export interface LeaseWanted {
  service: string;
  /** Name of the process, unique among those that may ask. */
  owner: string;
  ttlMs: number;
}

const ttl = `clock_timestamp() + $3 * interval '1 millisecond'`;
const remaining = `greatest(0, extract(epoch FROM expires_at - clock_timestamp()) * 1000)::float8 AS "remainingMs"`;

/** Takes a free or expired lease, or one's own again: each taking has a higher epoch, so an earlier self is out too. */
export async function takeLease(sql: Sql, { service, owner, ttlMs }: LeaseWanted): Promise<LeaseAnswer> {
  const [taken] = await sql.rows<{ epoch: number; remainingMs: number }>(
    `INSERT INTO ledger.leases AS lease (service, owner, epoch, expires_at) VALUES ($1, $2, 1, ${ttl})
     ON CONFLICT (service) DO UPDATE SET owner = $2, epoch = lease.epoch + 1, expires_at = ${ttl}
     WHERE lease.owner = $2 OR lease.expires_at <= clock_timestamp()
     RETURNING epoch, ${remaining}`,
    [service, owner, ttlMs],
  );
  return taken === undefined ? refusal(sql, service, owner, 0) : { kind: 'held', ...taken };
}

export interface LeaseHeld extends LeaseWanted {
  /** Epoch that was given when the lease was taken. */
  epoch: number;
}

/** Prolongs a lease that still runs. One that has run out must be taken anew, under a new epoch. */
export async function prolongLease(sql: Sql, { service, owner, epoch, ttlMs }: LeaseHeld): Promise<LeaseAnswer> {
  const [held] = await sql.rows<{ epoch: number; remainingMs: number }>(
    `UPDATE ledger.leases SET expires_at = ${ttl}
     WHERE service = $1 AND owner = $2 AND epoch = $4 AND expires_at > clock_timestamp()
     RETURNING epoch, ${remaining}`,
    [service, owner, ttlMs, epoch],
  );
  return held === undefined ? refusal(sql, service, owner, epoch) : { kind: 'held', ...held };
}

/** Gives a lease back at once. Giving back what one does not hold changes nothing and says so. */
export async function endLease(sql: Sql, { service, owner, epoch }: Omit<LeaseHeld, 'ttlMs'>): Promise<boolean> {
  const ended = await sql.rows(
    `UPDATE ledger.leases SET expires_at = clock_timestamp()
     WHERE service = $1 AND owner = $2 AND epoch = $3 AND expires_at > clock_timestamp() RETURNING epoch`,
    [service, owner, epoch],
  );
  return ended.length > 0;
}

async function refusal(sql: Sql, service: string, asker: string, epoch: number): Promise<LeaseAnswer> {
  const [lease] = await sql.rows<{ owner: string; epoch: number; running: boolean }>(
    'SELECT owner, epoch, expires_at > clock_timestamp() AS running FROM ledger.leases WHERE service = $1',
    [service],
  );
  if (lease === undefined) return { kind: 'refused', why: 'not-held', owner: null, epoch: 0 };
  const { owner } = lease;
  if (owner !== asker) return { kind: 'refused', why: 'other-owner', owner, epoch: lease.epoch };
  return { kind: 'refused', why: lease.epoch === epoch ? 'expired' : 'stale-epoch', owner, epoch: lease.epoch };
}
