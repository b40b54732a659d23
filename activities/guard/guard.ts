import { z } from 'zod';
import { MusterError } from '../../workflows/engine/errors.ts';
import { askGranters, type Granters, type Said } from './ask.ts';
import { databaseCalls } from './database-calls.ts';
import type { GuardedDatabase } from './database.ts';
import { readDurable, writeDurably } from './durable-file.ts';
import type { Clocks } from './elapsed.ts';
import {
  describeLease,
  isStaleClose,
  startLease,
  type LeaseAction,
  type LeaseEvent,
  type LeaseState,
} from './lease-state.ts';
import { advanceLease } from './lease.ts';
import type { CloseAnswer, CloseRequest, GuardState } from './protocol.ts';

export interface GuardOptions {
  service: string;
  resource: string;
  /** Site of the database. */
  site: string;
  leaseMs: number;
  database: GuardedDatabase;
  /** In the order in which they are asked: the control plane, then the other site's agent. */
  granters: readonly { name: string; url: string }[];
  token: string;
  stateFile: string;
  onEvent?: (event: GuardEvent) => void;
  /** For tests. */
  clocks?: () => Clocks;
}

export type GuardEvent =
  /** The state that the outside sees has changed. */
  | { kind: 'state'; from: GuardState['state']; to: GuardState['state']; epoch: number; why: string }
  /** The granters say something else than before; `by` names the one that decided. */
  | { kind: 'word'; word: Said['word']; by: string | null }
  | { kind: 'call-failed'; why: string }
  /** What this guard must remember could not be written. */
  | { kind: 'memory-failed'; why: string };

export interface Guard {
  readonly service: string;
  readonly resource: string;
  state(): GuardState;
  /**
   * Closes the database for every epoch through the one named, persistently, and reads it back.
   * @throws MusterError EPOCH_STALE when this site holds a newer epoch, FENCE_UNCONFIRMED when it cannot be read back
   */
  close(request: Pick<CloseRequest, 'throughEpoch' | 'stop'>): Promise<CloseAnswer>;
  /**
   * Takes the lease of an epoch that names this site and opens, as soon as the database is a primary; resolves when it
   * is open and read back. May be called before the promotion, so that the lease is there when it is done.
   * @throws MusterError EPOCH_STALE, LEASE_REFUSED
   */
  openNow(epoch: number, limitMs?: number): Promise<void>;
  /** Ends the loop. Closes the database first, since nobody would watch its lease any more, unless told not to. */
  stop(options?: { close?: boolean }): Promise<void>;
}

const memory = z.object({
  version: z.literal(1),
  epoch: z.number().int().min(0),
  closedThrough: z.number().int().min(0),
  stoppedByGuard: z.boolean(),
});

/** Runs the guard of one database. @throws MusterError CONFIG_INVALID when its state file is damaged. */
export function startGuard(options: GuardOptions): Guard {
  const loop = new GuardLoop(options);
  const { service, resource } = options;
  return {
    service,
    resource,
    state: () => loop.describe(),
    close: (request) => loop.close(request),
    openNow: (epoch, limitMs = options.leaseMs * 2) => loop.openNow(epoch, limitMs),
    stop: ({ close = true } = {}) => loop.end(close),
  };
}

/** Carries out what the state machine decides, with real clocks, granters and database; decides nothing itself. */
class GuardLoop {
  private readonly options: GuardOptions;
  private readonly granters: Granters;
  private readonly clocks: () => Clocks;
  private readonly calls: ReturnType<typeof databaseCalls>;
  private readonly timer: NodeJS.Timeout;
  private lease: LeaseState;
  private waiters: { check(): boolean; giveUp(): void }[] = [];
  private lastWord = '';
  private memoryFailed: string | null = null;
  private ended = false;

  constructor(options: GuardOptions) {
    const { site, leaseMs, token } = options;
    this.options = options;
    this.clocks = options.clocks ?? (() => ({ monotonicMs: performance.now(), wallMs: Date.now() }));
    this.granters = {
      addresses: options.granters.map(({ name, url }) => ({ site: name, url, token })),
      limitMs: leaseMs / 8,
    };
    this.calls = databaseCalls(options.database, (event) => this.tell(event));
    this.lease = startLease({ site, leaseMs }, readDurable(options.stateFile, memory), this.clocks());
    this.timer = setInterval(() => this.tell({ kind: 'tick' }), Math.min(100, Math.max(10, leaseMs / 40)));
    this.tell({ kind: 'tick' });
  }

  describe(): GuardState {
    const { service, resource } = this.options;
    return { service, resource, ...describeLease(this.lease) };
  }

  tell(event: LeaseEvent): void {
    if (this.ended) return;
    const before = describeLease(this.lease);
    const clocks = this.clocks();
    const { state, actions } = advanceLease(this.lease, event, clocks);
    this.lease = state;
    for (const action of actions) this.carryOut(action, clocks.wallMs);
    this.report(before, event);
    this.waiters = this.waiters.filter((waiter) => !waiter.check());
  }

  /** `decidedAtUnixMs`: a pause between deciding and doing must not lengthen a lease. */
  private carryOut(action: LeaseAction, decidedAtUnixMs: number): void {
    if (action.kind === 'save') this.remember(action);
    else if (action.kind === 'ask') this.ask(action);
    else this.calls.start(action, decidedAtUnixMs);
  }

  private emit(event: GuardEvent): void {
    try {
      this.options.onEvent?.(event);
    } catch {
      // A listener's mistake must not end the guard.
    }
  }

  private ask({ askId, epoch, all }: Extract<LeaseAction, { kind: 'ask' }>): void {
    const { service, site } = this.options;
    void askGranters(this.granters, { service, site, epoch }, all).then(({ word, by }) => {
      const said = `${word.kind} ${by}`;
      if (said !== this.lastWord) this.emit({ kind: 'word', word, by });
      this.lastWord = said;
      this.tell({ kind: 'word', askId, word });
    });
  }

  private remember({ epoch, closedThrough, stoppedByGuard }: Extract<LeaseAction, { kind: 'save' }>): void {
    try {
      writeDurably(this.options.stateFile, { version: 1, epoch, closedThrough, stoppedByGuard });
      this.memoryFailed = null;
    } catch (err) {
      // The database is closed all the same; only an ordered close must not be confirmed before it is remembered.
      this.memoryFailed = err instanceof Error ? err.message : String(err);
      this.emit({ kind: 'memory-failed', why: this.memoryFailed });
    }
  }

  private report(before: ReturnType<typeof describeLease>, event: LeaseEvent): void {
    if (event.kind === 'call-failed') this.emit({ kind: 'call-failed', why: event.why });
    const { state, epoch, why } = describeLease(this.lease);
    if (state !== before.state) this.emit({ kind: 'state', from: before.state, to: state, epoch, why });
  }

  async close({ throughEpoch, stop }: Pick<CloseRequest, 'throughEpoch' | 'stop'>): Promise<CloseAnswer> {
    const { service, resource, site, leaseMs } = this.options;
    if (isStaleClose(this.lease, throughEpoch)) {
      const held = `${site} holds epoch ${this.lease.epoch} of ${service}`;
      throw new MusterError('EPOCH_STALE', `close through epoch ${throughEpoch} is refused: ${held}`);
    }
    const settled = this.waitFor(() => this.lease.order === null, leaseMs + closeLimitMs);
    this.tell({ kind: 'close-ordered', throughEpoch, stop });
    const unconfirmed = (await settled) ? this.memoryFailed : this.lease.why;
    if (unconfirmed !== null) {
      throw new MusterError('FENCE_UNCONFIRMED', `${service}/${resource} at ${site}: ${unconfirmed}`);
    }
    return { kind: 'closed', state: this.describe().state, finalLsn: this.calls.finalLsn() };
  }

  async openNow(epoch: number, limitMs: number): Promise<void> {
    const { service, site } = this.options;
    const { epoch: held, closedThrough } = this.lease;
    if (epoch < held || epoch <= closedThrough) {
      const why = epoch <= closedThrough ? `was closed through epoch ${closedThrough}` : `holds epoch ${held}`;
      throw new MusterError('EPOCH_STALE', `${service} cannot open at ${site} under epoch ${epoch}: it ${why}`);
    }
    const over = (): boolean => this.lease.opening?.epoch !== epoch;
    this.tell({ kind: 'open-ordered', epoch });
    const closerLook = setInterval(() => this.tell({ kind: 'tick' }), 10);
    if (!(await this.waitFor(over, limitMs))) this.tell({ kind: 'open-withdrawn' });
    clearInterval(closerLook);
    const { gate, told, role, why } = this.lease;
    if (gate === 'open' && told?.epoch === epoch) return;
    const what = role === 'primary' ? why : `the database is ${role}; ${why}`;
    throw new MusterError('LEASE_REFUSED', `${service} did not open at ${site} under epoch ${epoch}: ${what}`);
  }

  /** Whether the condition came true within the limit; looked at after every event. */
  private waitFor(condition: () => boolean, limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (came: boolean): true => {
        clearTimeout(timer);
        resolve(came);
        return true;
      };
      const waiter = { check: () => condition() && settle(true), giveUp: () => settle(false) };
      const timer = setTimeout(() => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        settle(false);
      }, limitMs);
      this.waiters.push(waiter);
    });
  }

  async end(close: boolean): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.timer);
    for (const { giveUp } of this.waiters) giveUp();
    const { role, gate } = this.lease;
    if (!close || role === 'standby' || role === 'stopped' || gate === 'closed') return;
    const limit = new Promise((resolve) => setTimeout(resolve, this.options.leaseMs / 2).unref());
    await Promise.race([this.options.database.close().catch(() => undefined), limit]);
  }
}

/** Beyond the lease itself: by then the guard has ended a server that did not close. */
const closeLimitMs = 10_000;
