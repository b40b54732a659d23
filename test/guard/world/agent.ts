import {
  describeLease,
  isStaleClose,
  startLease,
  type LeaseAction,
  type LeaseEvent,
  type LeaseState,
  type Remembered,
} from '../../../activities/guard/lease-state.ts';
import { advanceLease } from '../../../activities/guard/lease.ts';
import {
  answerLease,
  nameHolder,
  startGranter,
  stopThrough,
  granterState,
  type GranterRecord,
} from '../../../activities/guard/granter.ts';
import { weigh, weightier, type Word } from '../../../activities/guard/word.ts';
import type { LeaseRequest } from '../../../activities/guard/protocol.ts';
import type { Database } from './database.ts';
import { otherSite, type Engine, type Host, Process, type Site } from './engine.ts';

export const leaseMs = 1000;
const service = 'shop';
const tickMs = 50;

/** A process with a granter and, at a site, a guard: the shell around the pure machines, in simulated time. */
export class Agent {
  readonly process = new Process();
  granter: GranterRecord;
  lease: LeaseState | null = null;
  /** True time at which the last lease that was granted to this site ends, for the invariants. */
  grantedUntilMs = 0;
  private remembered: Remembered | null = null;
  readonly engine: Engine;
  readonly host: Host;
  private readonly peers: Map<Host, Agent>;
  readonly database: Database | null;
  private readonly waiters: { life: number; check(): boolean }[] = [];

  constructor(engine: Engine, host: Host, peers: Map<Host, Agent>, database: Database | null) {
    this.engine = engine;
    this.host = host;
    this.peers = peers;
    this.database = database;
    this.granter = startGranter(service, leaseMs, null, engine.monotonicMs(host));
    this.boot();
  }

  /** A new life: whatever was not on disk is gone. */
  boot(): void {
    this.process.restart();
    this.granter = startGranter(service, leaseMs, this.granter, this.engine.monotonicMs(this.host));
    if (this.database === null) return;
    this.lease = startLease({ site: this.host, leaseMs }, this.remembered, this.clocks());
    const { life } = this.process;
    const tick = (): void => {
      if (!this.process.alive || this.process.life !== life) return;
      this.engine.after(tickMs, tick);
      if (!this.process.paused) this.tell({ kind: 'tick' });
    };
    tick();
  }

  private clocks() {
    return { monotonicMs: this.engine.monotonicMs(this.host), wallMs: this.engine.wallMs(this.host) };
  }

  tell(event: LeaseEvent): void {
    if (this.lease === null) return;
    const clocks = this.clocks();
    const { state, actions } = advanceLease(this.lease, event, clocks);
    this.lease = state;
    for (const action of actions) this.carryOut(action, clocks.wallMs);
    for (const waiter of [...this.waiters]) {
      if (waiter.life !== this.process.life || waiter.check()) this.waiters.splice(this.waiters.indexOf(waiter), 1);
    }
  }

  private carryOut(action: LeaseAction, decidedAtUnixMs: number): void {
    const { life } = this.process;
    if (action.kind === 'save') {
      const { epoch, closedThrough, stoppedByGuard } = action;
      this.remembered = { epoch, closedThrough, stoppedByGuard };
    } else if (action.kind === 'ask') {
      const request = { service, site: this.host, epoch: action.epoch };
      this.askGranters(request, action.all, (word) => this.tell({ kind: 'word', askId: action.askId, word }));
    } else {
      const { callId } = action;
      let late = false;
      let ended = false;
      const told = (result: string | null): void => {
        ended = true;
        if (late) this.tell({ kind: 'call-settled', callId });
        else if (result === null) this.tell({ kind: 'call-failed', callId, settled: true, why: 'failed' });
        else if (action.kind === 'role') this.tell({ kind: 'role', callId, role: result as 'primary' });
        else this.tell({ kind: 'call-done', callId });
      };
      this.later(action.limitMs, () => {
        if (ended) return;
        late = true;
        this.tell({ kind: 'call-failed', callId, settled: false, why: 'no answer' });
      });
      const order =
        action.kind === 'open' || action.kind === 'renew'
          ? { op: action.kind, remainingMs: action.remainingMs, endsAtUnixMs: decidedAtUnixMs + action.remainingMs }
          : { op: action.kind };
      this.database?.call(life, order, (result) => this.process.run(life, () => told(result)));
    }
  }

  later(delayMs: number, work: () => void): void {
    const { life } = this.process;
    this.engine.after(delayMs, () => this.process.run(life, work));
  }

  private askGranters(request: LeaseRequest, all: boolean, said: (word: Word) => void): void {
    const granters: Host[] = ['control', otherSite(this.host as Site)];
    if (all) {
      let open = granters.length;
      let best: Word = { kind: 'none', why: '' };
      for (const granter of granters) {
        this.askOne(granter, request, (word) => {
          best = weightier(best, word);
          if (--open === 0) said(best);
        });
      }
      return;
    }
    const next = (at: number): void => {
      const granter = granters[at];
      if (granter === undefined) return said({ kind: 'none', why: 'nobody' });
      this.askOne(granter, request, (word) => (word.kind === 'none' ? next(at + 1) : said(word)));
    };
    next(0);
  }

  private askOne(granter: Host, request: LeaseRequest, said: (word: Word) => void): void {
    this.rpc(
      granter,
      (peer) => peer.grant(request),
      leaseMs / 8,
      (answer) =>
        said(answer === null ? { kind: 'none', why: 'no answer' } : weigh(request.site, request.epoch, answer)),
    );
  }

  private grant(request: LeaseRequest) {
    const ownSite = this.host === 'control' ? null : this.host;
    const { record, answer } = answerLease(this.granter, request, ownSite, this.engine.monotonicMs(this.host));
    this.granter = record;
    const asker = this.peers.get(request.site as Site);
    if (answer.kind === 'granted' && asker) asker.grantedUntilMs = this.engine.nowMs + leaseMs;
    return answer;
  }

  /** A question to another process; `answered` once, with null when no answer came in time. */
  rpc<T>(to: Host, work: (peer: Agent) => T | null, limitMs: number, answered: (answer: T | null) => void): void {
    let open = true;
    const answer = (value: T | null): void => {
      if (!open) return;
      open = false;
      answered(value);
    };
    const { life } = this.process;
    const peer = this.peers.get(to) as Agent;
    this.later(limitMs, () => answer(null));
    this.engine.send(this.host, to, () =>
      peer.process.run(peer.process.life, () => {
        const value = work(peer);
        if (value === null) return;
        this.engine.send(to, this.host, () => this.process.run(life, () => answer(value)));
      }),
    );
  }

  stopGranting(throughEpoch: number): { remainingMs: number } {
    this.granter = stopThrough(this.granter, throughEpoch);
    return granterState(this.granter, this.engine.monotonicMs(this.host));
  }

  putEpoch(epoch: number, holder: Site): boolean {
    const named = nameHolder(this.granter, { service, epoch, holder });
    this.granter = named ?? this.granter;
    return named !== null;
  }

  /** `POST /v1/guard/close`; `closed` is told when it was read back, or never. */
  close(throughEpoch: number, stop: boolean, closed: () => void): void {
    if (this.lease === null || isStaleClose(this.lease, throughEpoch)) return;
    this.tell({ kind: 'close-ordered', throughEpoch, stop });
    this.waitFor(() => this.lease?.order === null, closed);
  }

  private waitFor(condition: () => boolean, then: () => void): void {
    const check = (): boolean => {
      if (condition()) then();
      return condition();
    };
    if (!check()) this.waiters.push({ life: this.process.life, check });
  }

  describe(): string {
    if (this.lease === null) return `${this.host}: granter only`;
    const { state, epoch, why } = describeLease(this.lease);
    return `${this.host}: ${state} epoch ${epoch} (${why})`;
  }
}
