import type { EpochRequest, GranterState, LeaseAnswer, LeaseRequest } from './protocol.ts';

/**
 * The granter of one service as a pure state machine. Times are milliseconds of the granter's own monotonic clock; a
 * machine that sleeps lets that clock stand still, which only makes the granter think a lease longer than it is.
 */
export interface GranterRecord {
  readonly service: string;
  readonly leaseMs: number;
  readonly epoch: number;
  readonly holder: string | null;
  /** Highest epoch that was stopped; every epoch up to it is over for good. */
  readonly stoppedThrough: number;
  /** Until when a lease that this granter gave may still be in use. */
  readonly grantedUntilMs: number;
}

/** What of a record outlives a restart. `leaseMs` does, because grants of the life before ran that long. */
export type GranterPromise = Pick<GranterRecord, 'epoch' | 'holder' | 'stoppedThrough' | 'leaseMs'>;

/** A granter that starts: the end of its last grant is unknown and counts as the longest possible. */
export function startGranter(
  service: string,
  leaseMs: number,
  promised: GranterPromise | null,
  nowMs: number,
): GranterRecord {
  return {
    service,
    leaseMs,
    epoch: promised?.epoch ?? 0,
    holder: promised?.holder ?? null,
    stoppedThrough: promised?.stoppedThrough ?? 0,
    grantedUntilMs: nowMs + Math.max(leaseMs, promised?.leaseMs ?? 0),
  };
}

/** Grants to the holder of the current epoch and to nobody else. `ownSite` is where the granter runs; null at control. */
export function answerLease(
  record: GranterRecord,
  request: LeaseRequest,
  ownSite: string | null,
  nowMs: number,
): { record: GranterRecord; answer: LeaseAnswer } {
  const why = refusal(record, request, ownSite);
  if (why !== null) {
    return { record, answer: { kind: 'refused', epoch: record.epoch, holder: record.holder, why } };
  }
  const grantedUntilMs = Math.max(record.grantedUntilMs, nowMs + record.leaseMs);
  return {
    record: { ...record, grantedUntilMs },
    answer: { kind: 'granted', epoch: record.epoch, ttlMs: record.leaseMs },
  };
}

type Refusal = Extract<LeaseAnswer, { kind: 'refused' }>['why'];

function refusal(record: GranterRecord, request: LeaseRequest, ownSite: string | null): Refusal | null {
  if (record.holder !== request.site) return 'other-holder';
  if (record.epoch !== request.epoch) return 'stale-epoch';
  if (record.epoch <= record.stoppedThrough) return 'stopped';
  if (request.site === ownSite) return 'own-site';
  return null;
}

export function stopThrough(record: GranterRecord, throughEpoch: number): GranterRecord {
  return { ...record, stoppedThrough: Math.max(record.stoppedThrough, throughEpoch) };
}

/** Null when the epoch is refused: not higher than all seen, and not the current one with the same holder again. */
export function nameHolder(record: GranterRecord, request: EpochRequest): GranterRecord | null {
  if (request.epoch === record.epoch && request.holder === record.holder) return record;
  if (request.epoch <= Math.max(record.epoch, record.stoppedThrough)) return null;
  return { ...record, epoch: request.epoch, holder: request.holder };
}

export function granterState(record: GranterRecord, nowMs: number): GranterState {
  return {
    service: record.service,
    epoch: record.epoch,
    holder: record.holder,
    stoppedThrough: record.stoppedThrough,
    remainingMs: Math.max(0, Math.ceil(record.grantedUntilMs - nowMs)),
  };
}
