import assert from 'node:assert/strict';
import {
  describeLease,
  startLease,
  type DatabaseRole,
  type LeaseAction,
  type LeaseEvent,
  type LeaseState,
  type Remembered,
} from '../../../activities/guard/lease-state.ts';
import { advanceLease } from '../../../activities/guard/lease.ts';
import type { Word } from '../../../activities/guard/word.ts';

export const leaseMs = 1000;
const startedAtUnixMs = 1_700_000_000_000;

type Kind = LeaseAction['kind'];
type Action<K extends Kind> = Extract<LeaseAction, { kind: K }>;

/** A guard's state machine on a bench: time passes when told to, actions lie open until they are answered. */
export class Bench {
  state: LeaseState;
  nowMs = 0;
  wallJumpMs = 0;
  sleptMs = 0;
  open: LeaseAction[] = [];

  constructor(remembered: Partial<Remembered> | null = { epoch: 1 }) {
    const whole = remembered && { epoch: 0, closedThrough: 0, stoppedByGuard: false, ...remembered };
    this.state = startLease({ site: 'hangzhou', leaseMs }, whole, this.clocks());
  }

  private clocks() {
    return { monotonicMs: this.nowMs - this.sleptMs, wallMs: startedAtUnixMs + this.nowMs + this.wallJumpMs };
  }

  tell(event: LeaseEvent): void {
    const { state, actions } = advanceLease(this.state, event, this.clocks());
    this.state = state;
    // A reading or a question that the guard has given up is not waited for.
    const given = (action: LeaseAction): boolean =>
      (action.kind === 'role' && action.callId !== state.roleCallId) ||
      (action.kind === 'ask' && action.askId !== state.ask?.id);
    this.open = [...this.open, ...actions].filter((action) => !given(action));
  }

  /** Time passes with a tick every 50 ms, as in the guard. */
  pass(forMs: number): this {
    const endMs = this.nowMs + forMs;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + 50);
      this.tell({ kind: 'tick' });
    }
    return this;
  }

  /** Time passes without the guard running. */
  pause(forMs: number): this {
    this.nowMs += forMs;
    return this;
  }

  kinds(): Kind[] {
    return this.open.map(({ kind }) => kind);
  }

  /** Takes the oldest open action of a kind; fails when there is none. */
  take<K extends Kind>(kind: K): Action<K> {
    const at = this.open.findIndex((action) => action.kind === kind);
    assert.notEqual(at, -1, `no ${kind} among [${this.kinds().join(', ')}] (${this.state.why})`);
    return this.open.splice(at, 1)[0] as Action<K>;
  }

  has(kind: Kind): boolean {
    return this.kinds().includes(kind);
  }

  role(role: DatabaseRole): this {
    this.tell({ kind: 'role', callId: this.take('role').callId, role });
    return this;
  }

  say(word: Word): this {
    this.tell({ kind: 'word', askId: this.take('ask').askId, word });
    return this;
  }

  grant(): this {
    const { epoch } = this.open.find(({ kind }) => kind === 'ask') as Action<'ask'>;
    return this.say({ kind: 'granted', epoch, ttlMs: leaseMs });
  }

  cutOff(): this {
    return this.say({ kind: 'none', why: 'no answer' });
  }

  done(kind: 'open' | 'renew' | 'start' | 'close' | 'stop'): this {
    this.tell({ kind: 'call-done', callId: this.take(kind).callId });
    return this;
  }

  fail(kind: 'role' | 'open' | 'renew' | 'start' | 'close' | 'stop', settled = true): number {
    const { callId } = this.take(kind);
    this.tell({ kind: 'call-failed', callId, settled, why: 'broken' });
    return callId;
  }

  get seen() {
    return describeLease(this.state).state;
  }

  /** A primary that was closed at the start, asked, and opened. */
  opened(): this {
    this.tell({ kind: 'tick' });
    return this.role('primary').done('close').grant().done('open');
  }

  /** A healthy renewal each time it is due, for a while. */
  serve(forMs: number): this {
    const endMs = this.nowMs + forMs;
    while (this.nowMs < endMs) {
      this.pass(50);
      if (this.has('ask')) this.grant();
      if (this.has('renew')) this.done('renew');
      if (this.has('role')) this.role('primary');
    }
    return this;
  }

  /** Time passes while nobody answers the guard's questions and the database is a primary. */
  isolate(forMs: number): this {
    const endMs = this.nowMs + forMs;
    while (this.nowMs < endMs) {
      this.pass(50);
      if (this.has('ask')) this.cutOff();
      if (this.has('role')) this.role('primary');
    }
    return this;
  }
}
