import { seeded, type Random } from '../../support/random.ts';

/** A discrete-event world: one true time that no process can see, hosts with clocks of their own, links that lose and delay. */
export type Host = 'control' | 'hangzhou' | 'beijing';
export type Site = 'hangzhou' | 'beijing';
export const hosts: readonly Host[] = ['control', 'hangzhou', 'beijing'];
export const sites: readonly Site[] = ['hangzhou', 'beijing'];
export const otherSite = (site: Site): Site => (site === 'hangzhou' ? 'beijing' : 'hangzhou');

export interface Network {
  lossRate: number;
  /** One way, milliseconds: most of the time, and now and then. */
  delayMs: number;
  slowMs: number;
}

interface Machine {
  /** Monotonic time runs at this rate, from this offset, and stands still while the machine sleeps. */
  rate: number;
  monotonicMs: number;
  wallOffsetMs: number;
  asleep: boolean;
  seenAtMs: number;
}

interface Due {
  atMs: number;
  seq: number;
  run(): void;
}

export class Engine {
  readonly random: Random;
  readonly network: Network;
  nowMs = 0;
  afterEach: () => void = () => {};
  private readonly machines = new Map<Host, Machine>();
  private readonly cut = new Set<string>();
  private readonly heap: Due[] = [];
  private seq = 0;

  constructor(seed: number, network: Network) {
    this.random = seeded(seed);
    this.network = network;
    for (const host of hosts) {
      const rate = 1 + (this.random.next() - 0.5) * 0.0004;
      const monotonicMs = this.random.between(0, 1e6);
      const wallOffsetMs = this.random.between(1e9, 2e9);
      this.machines.set(host, { rate, monotonicMs, wallOffsetMs, asleep: false, seenAtMs: 0 });
    }
  }

  after(delayMs: number, run: () => void): void {
    this.push({ atMs: this.nowMs + Math.max(0, delayMs), seq: this.seq++, run });
  }

  runUntil(endMs: number): void {
    for (let next = this.heap[0]; next !== undefined && next.atMs <= endMs; next = this.heap[0]) {
      this.pop();
      this.nowMs = next.atMs;
      next.run();
      this.afterEach();
    }
    this.nowMs = endMs;
  }

  /** Delivers to `arrive` unless the link is cut at either end of the way, or the message is lost. */
  send(from: Host, to: Host, arrive: () => void): void {
    const { lossRate, delayMs, slowMs } = this.network;
    if (this.isCut(from, to) || this.random.chance(lossRate)) return;
    const delay = this.random.chance(0.03) ? this.random.next() * slowMs : this.random.next() * delayMs;
    this.after(delay, () => {
      if (!this.isCut(from, to)) arrive();
    });
  }

  setCut(from: Host, to: Host, cut: boolean): void {
    if (cut) this.cut.add(`${from} ${to}`);
    else this.cut.delete(`${from} ${to}`);
  }

  private isCut(from: Host, to: Host): boolean {
    return this.cut.has(`${from} ${to}`);
  }

  monotonicMs(host: Host): number {
    const machine = this.machine(host);
    if (!machine.asleep) machine.monotonicMs += (this.nowMs - machine.seenAtMs) * machine.rate;
    machine.seenAtMs = this.nowMs;
    return machine.monotonicMs;
  }

  wallMs(host: Host): number {
    return Math.floor(this.nowMs + this.machine(host).wallOffsetMs);
  }

  jumpWall(host: Host, byMs: number): void {
    this.machine(host).wallOffsetMs += byMs;
  }

  setAsleep(host: Host, asleep: boolean): void {
    this.monotonicMs(host);
    this.machine(host).asleep = asleep;
  }

  private machine(host: Host): Machine {
    const machine = this.machines.get(host);
    if (machine === undefined) throw new Error(`no machine ${host}`);
    return machine;
  }

  private push(due: Due): void {
    const { heap } = this;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(due, heap[parent] as Due)) break;
      heap[at] = heap[parent] as Due;
      at = parent;
    }
    heap[at] = due;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop() as Due;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Due, heap[child] as Due)) child++;
      if (!before(heap[child] as Due, last)) break;
      heap[at] = heap[child] as Due;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.seq < b.seq);
}

/** A process of the world: what reaches it while it is paused waits, what reaches it dead is lost. */
export class Process {
  life = 1;
  alive = true;
  paused = false;
  private backlog: (() => void)[] = [];

  /** Runs as part of this process, if it is still the life that asked for it. */
  run(life: number, work: () => void): void {
    if (!this.alive || life !== this.life) return;
    if (this.paused) this.backlog.push(() => this.run(life, work));
    else work();
  }

  kill(): void {
    this.alive = false;
    this.paused = false;
    this.backlog = [];
  }

  restart(): void {
    if (this.alive) return;
    this.alive = true;
    this.life++;
  }

  pause(): void {
    this.paused = this.alive;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    const waiting = this.backlog;
    this.backlog = [];
    for (const work of waiting) work();
  }
}
