import { renewEveryMs, type DatabaseRole, type LeaseEvent, type LeaseState } from './lease-state.ts';
import type { Word } from './word.ts';

/** Takes what happened into the state; what follows from it is decided afterwards. `state` is the caller's own copy. */
export function absorb(state: LeaseState, event: LeaseEvent): void {
  switch (event.kind) {
    case 'tick':
      return;
    case 'word':
      if (state.ask?.id === event.askId) absorbWord(state, state.ask, event.word);
      return;
    case 'role':
      if (state.roleCallId === event.callId) absorbRole(state, event.role);
      return;
    case 'call-done':
      absorbDone(state, event.callId);
      return;
    case 'call-failed':
      absorbFailed(state, event.callId, event.settled, event.why);
      return;
    case 'call-settled':
      endStray(state, event.callId);
      return;
    case 'close-ordered':
      absorbCloseOrder(state, event.throughEpoch, event.stop);
      return;
    case 'open-ordered':
      absorbOpenOrder(state, event.epoch);
      return;
    case 'open-withdrawn':
      state.opening = null;
  }
}

function absorbWord(state: LeaseState, asked: { epoch: number; atMs: number }, word: Word): void {
  const { nowMs } = state.elapsed;
  state.ask = null;
  state.lastWord = word.kind;
  state.nextAskAtMs = Math.max(nowMs, asked.atMs + renewEveryMs(state));
  if (word.kind === 'granted') {
    absorbGrant(state, asked.atMs, word);
  } else if (word.kind === 'over') {
    state.lease = null;
    state.closedThrough = Math.max(state.closedThrough, word.throughEpoch);
    if (state.opening !== null && state.opening.epoch <= state.closedThrough) state.opening = null;
    state.why = `refused: ${word.why}`;
  } else if (word.kind === 'named') {
    if (word.epoch <= Math.max(state.epoch, state.closedThrough)) return;
    state.epoch = word.epoch;
    state.nextAskAtMs = nowMs;
  } else {
    state.nextAskAtMs = Math.max(nowMs, asked.atMs + renewEveryMs(state) / 2);
    state.why = `cut off: ${word.why}`;
  }
}

function absorbGrant(state: LeaseState, askedAtMs: number, word: { epoch: number; ttlMs: number }): void {
  if (word.epoch !== state.epoch || word.epoch <= state.closedThrough) return;
  const endsAtMs = askedAtMs + Math.min(word.ttlMs, state.settings.leaseMs);
  state.lease = { epoch: word.epoch, endsAtMs };
  state.mustBeClosedByMs = Math.max(state.mustBeClosedByMs ?? 0, endsAtMs);
  state.why = `holds the lease of epoch ${word.epoch}`;
}

function absorbRole(state: LeaseState, role: DatabaseRole): void {
  const was = state.role;
  state.roleCallId = null;
  if (role === 'stopped' && state.forward?.op === 'start') return;
  state.role = role;
  if (role === 'stopped' || role === 'standby') {
    state.gate = 'closed';
    state.told = null;
  }
  if (role === 'standby' && state.opening === null) state.why = 'a standby needs no lease';
  if (role === 'stopped' && was !== 'stopped') state.why = `the server does not run (${state.why})`;
  // A server that came up, or was promoted, behind the guard's back: nothing is known of who may write there.
  if (role === 'primary' && was !== 'primary') state.gate = 'unknown';
  if (role !== 'stopped' && state.backward?.op !== 'stop') state.stoppedByGuard = false;
}

function absorbDone(state: LeaseState, callId: number): void {
  const { forward, backward } = state;
  if (backward?.id === callId) {
    state.backward = null;
    state.gate = 'closed';
    state.roleCallId = null;
    state.nextRoleAtMs = state.elapsed.nowMs;
    if (backward.op === 'stop') {
      state.role = 'stopped';
      state.stoppedByGuard = true;
    }
  } else if (forward?.id === callId) {
    state.forward = null;
    if (forward.op === 'start') {
      state.role = 'unknown';
      state.gate = 'unknown';
      state.roleCallId = null;
      state.stoppedByGuard = false;
      state.nextRoleAtMs = state.elapsed.nowMs;
    } else {
      state.gate = 'open';
      state.told = { epoch: forward.epoch, endsAtMs: forward.endsAtMs };
      if (state.opening !== null && forward.epoch >= state.opening.epoch) state.opening = null;
    }
  } else {
    endStray(state, callId);
  }
}

function absorbFailed(state: LeaseState, callId: number, settled: boolean, why: string): void {
  const { forward, backward } = state;
  const { nowMs } = state.elapsed;
  if (state.roleCallId === callId) {
    state.roleCallId = null;
    state.role = 'down';
  } else if (backward?.id === callId) {
    state.backward = null;
    state.closeFailed = true;
    state.nextBackwardAtMs = nowMs + renewEveryMs(state) / 5;
    state.nextRoleAtMs = nowMs;
    state.why = `${backward.op} failed: ${why}`;
  } else if (forward?.id === callId) {
    state.forward = null;
    state.nextForwardAtMs = nowMs + renewEveryMs(state) / 5;
    state.nextRoleAtMs = nowMs;
    state.why = `${forward.op} failed: ${why}`;
    if (forward.op === 'start') {
      state.role = 'unknown';
      state.stoppedByGuard = true;
    } else if (!settled) state.strays = [...state.strays, callId];
    state.gate = 'unknown';
    state.told = null;
  } else if (settled) {
    endStray(state, callId);
  }
}

/** A late call has ended; it may have opened the database after it was closed, so it is closed and read back again. */
function endStray(state: LeaseState, callId: number): void {
  if (!state.strays.includes(callId)) return;
  state.strays = state.strays.filter((id) => id !== callId);
  if (state.gate === 'closed') state.gate = 'unknown';
}

function absorbCloseOrder(state: LeaseState, throughEpoch: number, stop: boolean): void {
  state.closedThrough = Math.max(state.closedThrough, throughEpoch);
  state.lease = null;
  state.opening = null;
  // Forget what was read before the order: it is answered with a fresh reading.
  state.gate = 'unknown';
  if (state.role !== 'primary') state.role = 'unknown';
  state.roleCallId = null;
  state.nextRoleAtMs = state.elapsed.nowMs;
  state.closeFailed = false;
  state.nextBackwardAtMs = state.elapsed.nowMs;
  state.order = { stop: stop || (state.order?.stop ?? false) };
  state.why = `closed by order through epoch ${throughEpoch}`;
}

function absorbOpenOrder(state: LeaseState, epoch: number): void {
  state.epoch = Math.max(state.epoch, epoch);
  state.opening = { epoch };
  state.ask = null;
  state.nextAskAtMs = state.elapsed.nowMs;
  state.nextRoleAtMs = state.elapsed.nowMs;
}
