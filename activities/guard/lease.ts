import { elapse, type Clocks } from './elapsed.ts';
import { absorb } from './lease-absorb.ts';
import {
  closeBudgetMs,
  gapMs,
  isClosed,
  mayWrite,
  renewEveryMs,
  type BackwardOp,
  type ForwardOp,
  type LeaseAction,
  type LeaseEvent,
  type LeaseState,
} from './lease-state.ts';

/**
 * The guard's decisions, pure: what happened and what time it is go in, what to do comes out. The shell carries actions
 * out and answers each with events; it never decides. Every event is also a look at the clock.
 */
export function advanceLease(
  before: LeaseState,
  event: LeaseEvent,
  clocks: Clocks,
): { state: LeaseState; actions: LeaseAction[] } {
  const state: LeaseState = { ...before, elapsed: elapse(before.elapsed, clocks) };
  const actions: LeaseAction[] = [];
  noticeGap(state, state.elapsed.nowMs - before.elapsed.nowMs);
  noticeEnd(state);
  absorb(state, event);
  readRole(state, actions);
  askForLease(state, actions);
  if (mayWrite(state)) goForward(state, actions);
  else goBack(state, actions);
  const { epoch, closedThrough, stoppedByGuard } = state;
  if (epoch !== before.epoch || closedThrough !== before.closedThrough || stoppedByGuard !== before.stoppedByGuard) {
    actions.push({ kind: 'save', epoch, closedThrough, stoppedByGuard });
  }
  return { state, actions };
}

/** Nothing believed before a silence counts: others may have been granted the lease, and promoted, meanwhile. */
function noticeGap(state: LeaseState, silentMs: number): void {
  if (silentMs <= gapMs(state)) return;
  state.lease = null;
  state.ask = null;
  state.nextAskAtMs = state.elapsed.nowMs;
  state.lastWord = null;
  state.roleCallId = null;
  state.nextRoleAtMs = state.elapsed.nowMs;
  if (state.gate === 'open') state.gate = 'unknown';
  state.why = `did not run for ${Math.round(silentMs)} ms: closed until a lease is granted`;
}

function noticeEnd(state: LeaseState): void {
  if (state.lease === null || state.elapsed.nowMs < state.lease.endsAtMs) return;
  state.lease = null;
  state.why = `the lease ended (${state.why})`;
}

function readRole(state: LeaseState, actions: LeaseAction[]): void {
  const { nowMs } = state.elapsed;
  if (state.roleCallId !== null || nowMs < state.nextRoleAtMs) return;
  // A reading that overlaps an opening could be older than it.
  if (state.forward?.op === 'open') return;
  state.roleCallId = state.nextId++;
  state.nextRoleAtMs = nowMs + (state.opening === null ? renewEveryMs(state) : promotionLookMs);
  actions.push({ kind: 'role', callId: state.roleCallId, limitMs: renewEveryMs(state) });
}

/** How often the role is read while a promotion is awaited: clients wait for it. */
const promotionLookMs = 10;

function askForLease(state: LeaseState, actions: LeaseAction[]): void {
  const { nowMs } = state.elapsed;
  if (state.ask !== null || nowMs < state.nextAskAtMs || !needsLease(state)) return;
  const epoch = state.epoch > state.closedThrough ? state.epoch : 0;
  state.ask = { id: state.nextId++, epoch, atMs: nowMs };
  // Opening again by itself after a silence, a boot or a refusal, it hears everybody: one granter may have been away
  // as well. A renewal, or an opening that a run ordered after its own fence, takes the first word.
  const all = state.lease === null && state.opening === null;
  actions.push({ kind: 'ask', askId: state.ask.id, epoch, all });
}

function needsLease(state: LeaseState): boolean {
  if (state.opening !== null || state.forward?.op === 'start') return true;
  if (state.role === 'stopped') return state.stoppedByGuard;
  return state.role === 'primary' || state.role === 'down';
}

function goForward(state: LeaseState, actions: LeaseAction[]): void {
  const { lease, told, elapsed } = state;
  state.closingSinceMs = null;
  state.closeFailed = false;
  if (lease === null || state.forward !== null || state.backward !== null) return;
  if (elapsed.nowMs < state.nextForwardAtMs) return;
  if (state.role === 'stopped' && state.stoppedByGuard) {
    state.role = 'unknown';
    state.gate = 'unknown';
    state.roleCallId = null;
    actions.push({ kind: 'start', callId: forward(state, 'start'), limitMs: startLimitMs });
  } else if (state.role === 'primary' || state.role === 'down') {
    const isOpen = state.gate === 'open' && told?.epoch === lease.epoch;
    if (isOpen ? lease.endsAtMs > told.endsAtMs : state.role === 'primary') {
      actions.push(tellLease(state, isOpen ? 'renew' : 'open', lease));
    }
  }
}

/** A server that recovers from a crash may take this long; the guard goes on meanwhile. */
const startLimitMs = 60_000;

function tellLease(state: LeaseState, op: 'open' | 'renew', lease: { epoch: number; endsAtMs: number }): LeaseAction {
  if (op === 'open') {
    // From here on it may be open at any moment.
    state.gate = 'unknown';
    state.roleCallId = null;
  }
  const remainingMs = lease.endsAtMs - state.elapsed.nowMs;
  return { kind: op, callId: forward(state, op), limitMs: renewEveryMs(state), epoch: lease.epoch, remainingMs };
}

function forward(state: LeaseState, op: ForwardOp): number {
  const id = state.nextId++;
  state.forward = { id, op, epoch: state.lease?.epoch ?? 0, endsAtMs: state.lease?.endsAtMs ?? 0 };
  return id;
}

function goBack(state: LeaseState, actions: LeaseAction[]): void {
  const { nowMs } = state.elapsed;
  const closed = isClosed(state);
  state.closingSinceMs = closed ? null : (state.closingSinceMs ?? nowMs);
  if (closed) settle(state);
  const cleanMs = stopNeeded(state, closed);
  if (cleanMs !== null) {
    if (state.backward?.op === 'stop' || nowMs < state.nextBackwardAtMs) return;
    state.stoppedByGuard = true;
    state.roleCallId = null;
    const limitMs = cleanMs + Math.max(2 * state.settings.leaseMs, 5000);
    actions.push({ kind: 'stop', callId: backward(state, 'stop'), limitMs, cleanMs });
    return;
  }
  if (state.gate === 'closed' || closed || state.backward !== null || nowMs < state.nextBackwardAtMs) return;
  if (state.role === 'unknown') return;
  actions.push({ kind: 'close', callId: backward(state, 'close'), limitMs: 2 * renewEveryMs(state) });
}

function backward(state: LeaseState, op: BackwardOp): number {
  const { forward: overtaken } = state;
  if (overtaken !== null && overtaken.op !== 'start') {
    state.strays = [...state.strays, overtaken.id];
    state.forward = null;
  }
  state.told = null;
  state.gate = state.gate === 'open' ? 'unknown' : state.gate;
  const id = state.nextId++;
  state.backward = { id, op };
  return id;
}

/** Closed and read back: a pending order is fulfilled, and the end of the last lease threatens nobody any more. */
function settle(state: LeaseState): void {
  if (state.order !== null && (!state.order.stop || state.role === 'stopped')) {
    state.order = null;
    state.mustBeClosedByMs = null;
  }
  if (state.lastWord === 'over' || state.role === 'stopped') state.mustBeClosedByMs = null;
}

/** Null: no need. Otherwise how long the server may take to end cleanly, milliseconds. */
function stopNeeded(state: LeaseState, closed: boolean): number | null {
  const { mustBeClosedByMs: endMs, elapsed, settings, order } = state;
  if (state.role === 'stopped') return null;
  const cleanMs = Math.max(settings.leaseMs, 5000);
  if (order?.stop === true && (closed || state.closeFailed)) return cleanMs;
  if (endMs === null || state.role === 'standby') return null;
  if (closed) return state.lastWord === 'none' && elapsed.nowMs >= endMs ? cleanMs : null;
  return elapsed.nowMs >= killAtMs(state, endMs) ? 0 : null;
}

/** When a close that is not confirmed gives way to ending the server: in time before the lease ends, or soon when it has. */
function killAtMs(state: LeaseState, endMs: number): number {
  const sinceMs = state.closingSinceMs ?? state.elapsed.nowMs;
  const latestMs = endMs - settingsMarginMs(state);
  if (sinceMs >= latestMs) return sinceMs + closeBudgetMs(state);
  return Math.max(latestMs, sinceMs + closeBudgetMs(state) / 2);
}

const settingsMarginMs = (state: LeaseState): number => state.settings.leaseMs / 10;
