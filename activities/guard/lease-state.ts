import type { GuardedDatabase } from './database.ts';
import type { Clocks, Elapsed } from './elapsed.ts';
import type { GuardState } from './protocol.ts';
import { startElapsed } from './elapsed.ts';
import type { Word } from './word.ts';

export type DatabaseRole = Awaited<ReturnType<GuardedDatabase['role']>>;
/** Calls that change who may write. Forward ones go towards open, backward ones towards closed. */
export type ForwardOp = 'open' | 'renew' | 'start';
export type BackwardOp = 'close' | 'stop';

export interface LeaseSettings {
  /** Where the guarded database is. */
  site: string;
  leaseMs: number;
}

/** What outlives a restart of the guard. */
export interface Remembered {
  /** Highest epoch this site was the holder of, as far as the guard was told. */
  epoch: number;
  /** Epochs up to this may never open here again. */
  closedThrough: number;
  /** The guard ended the server itself, so it also starts it when it is granted again. */
  stoppedByGuard: boolean;
}

export type LeaseEvent =
  | { kind: 'tick' }
  | { kind: 'word'; askId: number; word: Word }
  | { kind: 'role'; callId: number; role: DatabaseRole }
  /** A call ended well. */
  | { kind: 'call-done'; callId: number }
  /** A call failed. `settled` false: it ran out of time and may still happen; `call-settled` follows when it has ended. */
  | { kind: 'call-failed'; callId: number; settled: boolean; why: string }
  | { kind: 'call-settled'; callId: number }
  | { kind: 'close-ordered'; throughEpoch: number; stop: boolean }
  | { kind: 'open-ordered'; epoch: number }
  | { kind: 'open-withdrawn' };

export type LeaseAction =
  /** Ask the granters: in turn until one decides, or with `all` every one of them, the weightiest word counts. */
  | { kind: 'ask'; askId: number; epoch: number; all: boolean }
  | { kind: 'role'; callId: number; limitMs: number }
  | { kind: 'open'; callId: number; limitMs: number; epoch: number; remainingMs: number }
  | { kind: 'renew'; callId: number; limitMs: number; epoch: number; remainingMs: number }
  | { kind: 'start'; callId: number; limitMs: number }
  | { kind: 'close'; callId: number; limitMs: number }
  /** `cleanMs`: how long the server may take to end cleanly; 0 = at once. */
  | { kind: 'stop'; callId: number; limitMs: number; cleanMs: number }
  | ({ kind: 'save' } & Remembered);

interface Call<Op> {
  id: number;
  op: Op;
}

/** Times are milliseconds of `elapsed.nowMs`. */
export interface LeaseState extends Remembered {
  settings: LeaseSettings;
  elapsed: Elapsed;
  nextId: number;
  /** The lease held now; `endsAtMs` counts from the moment it was asked for. */
  lease: { epoch: number; endsAtMs: number } | null;
  /** End of the last lease that may have been in use in this life; null when none was, or after it is certain. */
  mustBeClosedByMs: number | null;
  ask: { id: number; epoch: number; atMs: number } | null;
  nextAskAtMs: number;
  /** How the last question ended; null after a gap. `none` = cut off. */
  lastWord: Word['kind'] | null;
  role: DatabaseRole | 'unknown';
  roleCallId: number | null;
  nextRoleAtMs: number;
  /** `closed` only after it was read back, or for a server that is not running or follows another. */
  gate: 'open' | 'closed' | 'unknown';
  /** What the database was last told, while the gate is open. */
  told: { epoch: number; endsAtMs: number } | null;
  forward: (Call<ForwardOp> & { epoch: number; endsAtMs: number }) | null;
  nextForwardAtMs: number;
  backward: Call<BackwardOp> | null;
  nextBackwardAtMs: number;
  /** Opening calls that ran out of time or were overtaken: each may still happen until it has ended. */
  strays: readonly number[];
  /** Since when the gate should be closed and is not. */
  closingSinceMs: number | null;
  closeFailed: boolean;
  /** A close that was ordered and is not read back yet. */
  order: { stop: boolean } | null;
  /** An opening that was ordered and is not read back yet. */
  opening: { epoch: number } | null;
  why: string;
}

/** A guard that starts: whatever the database was before, it is closed until a lease asked for from now on is granted. */
export function startLease(settings: LeaseSettings, remembered: Remembered | null, clocks: Clocks): LeaseState {
  return {
    settings,
    elapsed: startElapsed(clocks),
    nextId: 1,
    epoch: remembered?.epoch ?? 0,
    closedThrough: remembered?.closedThrough ?? 0,
    stoppedByGuard: remembered?.stoppedByGuard ?? false,
    lease: null,
    mustBeClosedByMs: null,
    ask: null,
    nextAskAtMs: 0,
    lastWord: null,
    role: 'unknown',
    roleCallId: null,
    nextRoleAtMs: 0,
    gate: 'unknown',
    told: null,
    forward: null,
    nextForwardAtMs: 0,
    backward: null,
    nextBackwardAtMs: 0,
    strays: [],
    closingSinceMs: null,
    closeFailed: false,
    order: null,
    opening: null,
    why: 'started: closed until a lease is granted',
  };
}

/** The lease is renewed this often, so that two attempts fit before closing begins. */
export const renewEveryMs = (state: LeaseState): number => state.settings.leaseMs / 4;
/** Closing begins this long before the lease ends. */
export const closeBudgetMs = (state: LeaseState): number => state.settings.leaseMs / 4;
/** Two renewals missed in one silence: this process or its machine did not run, and nothing believed before it counts. */
export const gapMs = (state: LeaseState): number => state.settings.leaseMs / 2;

/** Whether the database may be open now. */
export function mayWrite(state: LeaseState): boolean {
  const { lease, order } = state;
  if (lease === null || order !== null || lease.epoch <= state.closedThrough) return false;
  return state.elapsed.nowMs < lease.endsAtMs - closeBudgetMs(state);
}

/** Whether it is certain that nobody can write and no earlier call can change that. */
export function isClosed(state: LeaseState): boolean {
  if (state.role === 'stopped' || state.role === 'standby') return true;
  return state.gate === 'closed' && state.strays.length === 0;
}

/** An order to close that is older than what this site holds now; it must be refused. */
export function isStaleClose(state: LeaseState, throughEpoch: number): boolean {
  return throughEpoch < state.epoch;
}

/** For the outside: whatever is not certainly closed counts as open. */
export function describeLease(state: LeaseState): Omit<GuardState, 'service' | 'resource'> {
  const leaseRemainingMs = Math.max(0, Math.floor((state.lease?.endsAtMs ?? 0) - state.elapsed.nowMs));
  return { epoch: state.epoch, state: outward(state), leaseRemainingMs, why: state.why };
}

function outward(state: LeaseState): GuardState['state'] {
  if (state.role === 'standby' || state.role === 'stopped') return state.role;
  if (isClosed(state)) return 'closed';
  return state.role === 'primary' ? 'open' : 'down';
}
