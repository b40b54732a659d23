import type { Engine, Site } from './engine.ts';

export type Order =
  | { op: 'role' }
  | { op: 'close' }
  | { op: 'stop' }
  | { op: 'start' }
  | { op: 'open'; remainingMs: number; endsAtUnixMs: number }
  | { op: 'renew'; remainingMs: number; endsAtUnixMs: number };

/** How far the database's own clock may be behind the moment of the grant: as in `drivers/postgres/schema.ts`. */
const clockToleranceMs = 1000;

/**
 * A database as the guard's contract describes it: it checks the lease by itself at every write, boots closed, and a
 * close ends the calls of earlier lives of its guard.
 */
export class Database {
  running = true;
  frozen = false;
  role: 'primary' | 'standby';
  /** Calls take effect this much later than they should; set by faults. */
  hangMs = 0;
  failRate = 0;
  openForWriting = false;
  private grantedAtMs = 0;
  private endsAtMs = 0;
  private pending: { life: number; cancelled: boolean }[] = [];
  private thaw: (() => void)[] = [];
  private readonly engine: Engine;
  private readonly site: Site;

  constructor(engine: Engine, site: Site, role: 'primary' | 'standby') {
    this.engine = engine;
    this.site = site;
    this.role = role;
  }

  /** Whether a client's write would be accepted right now. */
  writable(): boolean {
    if (!this.running || this.frozen || this.role !== 'primary' || !this.openForWriting) return false;
    const wallMs = this.engine.wallMs(this.site);
    return this.grantedAtMs - clockToleranceMs <= wallMs && wallMs <= this.endsAtMs;
  }

  /** `ended` is told how it went, some time later or never; null means it failed. */
  call(life: number, order: Order, ended: (result: string | null) => void): void {
    const { random } = this.engine;
    const call = { life, cancelled: false };
    this.pending.push(call);
    const hang = this.hangMs > 0 && random.chance(0.5) ? random.next() * this.hangMs : 0;
    this.engine.after(random.next() * 10 + hang, () =>
      this.whenThawed(() => {
        this.pending = this.pending.filter((other) => other !== call);
        if (call.cancelled) return ended(null);
        const result = random.chance(this.failRate) ? null : this.apply(life, order);
        this.engine.after(random.next() * 10, () => this.whenThawed(() => ended(result)));
      }),
    );
  }

  private apply(life: number, order: Order): string | null {
    if (order.op === 'role') return this.running ? this.role : 'stopped';
    if (order.op === 'start') {
      if (!this.running) this.boot();
      return 'ok';
    }
    if (order.op === 'stop') {
      this.crash();
      return 'ok';
    }
    if (!this.running) return null;
    if (order.op === 'close') {
      this.openForWriting = false;
      for (const call of this.pending) call.cancelled ||= call.life !== life;
      return 'ok';
    }
    if (this.role !== 'primary' || (order.op === 'renew' && !this.openForWriting)) return null;
    const wallMs = this.engine.wallMs(this.site);
    this.openForWriting = true;
    this.grantedAtMs = wallMs;
    this.endsAtMs = Math.min(order.endsAtUnixMs, wallMs + order.remainingMs);
    return 'ok';
  }

  crash(): void {
    this.running = false;
    this.openForWriting = false;
  }

  boot(): void {
    this.running = true;
    this.openForWriting = false;
  }

  freeze(): void {
    this.frozen = true;
  }

  unfreeze(): void {
    this.frozen = false;
    const waiting = this.thaw;
    this.thaw = [];
    for (const work of waiting) this.engine.after(0, () => this.whenThawed(work));
  }

  private whenThawed(work: () => void): void {
    if (this.frozen) this.thaw.push(work);
    else work();
  }
}
