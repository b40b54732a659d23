import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeGuard, getState, putEpoch, stopGranting, type AgentAddress } from '../../../activities/guard/client.ts';
import type { GranterState, GuardState } from '../../../activities/guard/protocol.ts';
import { Links } from '../../../sandbox/links.ts';
import { freePort, returnPort } from '../../../sandbox/ports.ts';
import { until } from '../support/fake-database.ts';
import { hostMs, isWritable, writeWorld } from './file-database.ts';
import type { HarnessSettings } from './program.ts';

export type Site = 'hangzhou' | 'beijing';
export type Place = 'control' | Site;
const places: readonly Place[] = ['control', 'hangzhou', 'beijing'];
const sites: readonly Site[] = ['hangzhou', 'beijing'];
const token = 'a-token-that-nobody-guesses';
const limit = { timeoutMs: 5000 };

export interface HouseOptions {
  leaseMs: number;
  /** Where compiled code is kept from one process to the next. */
  compileCache: string;
  /** Environment of a place's process, e.g. a preloaded library. */
  env?: Partial<Record<Place, NodeJS.ProcessEnv>>;
}

/** Control and two sites as processes, linked through relays, with somebody who tries to write everywhere all the time. */
export class House {
  readonly leaseMs: number;
  readonly dir = mkdtempSync(join(tmpdir(), 'muster-house-'));
  readonly links = new Links([
    { name: 'control-hangzhou', ends: ['control', 'hangzhou'] },
    { name: 'control-beijing', ends: ['control', 'beijing'] },
    { name: 'hangzhou-beijing', ends: ['hangzhou', 'beijing'] },
  ]);
  /** Host time at which the last write began that was taken. */
  readonly lastWriteMs: Record<Site, number> = { hangzhou: 0, beijing: 0 };
  /** Moments at which a write was refused. */
  readonly refusedMs: Record<Site, number[]> = { hangzhou: [], beijing: [] };
  twoWriters = 0;
  private readonly options: HouseOptions;
  private readonly processes = new Map<Place, ChildProcess>();
  private readonly ports = new Map<Place, number>();
  private readonly settings = new Map<Place, HarnessSettings>();
  private readonly writer: NodeJS.Timeout;
  private output = '';

  private constructor(options: HouseOptions) {
    this.options = options;
    this.leaseMs = options.leaseMs;
    for (const place of places) mkdirSync(join(this.dir, place));
    writeWorld(this.dirOf('hangzhou'), { role: 'primary', hanging: [] });
    writeWorld(this.dirOf('beijing'), { role: 'standby', hanging: [] });
    this.writer = setInterval(() => this.write(), 5);
  }

  /** Everything started, hangzhou the holder of epoch 1, and open. */
  static async open(options: HouseOptions): Promise<House> {
    const house = new House(options);
    try {
      for (const place of places) house.ports.set(place, await freePort('127.0.0.1', 0));
      for (const place of places) await house.lay(place);
      await Promise.all(places.map((place) => house.start(place)));
      const first = { service: 'shop', epoch: 1, holder: 'hangzhou' };
      for (const place of places) await putEpoch(house.direct(place), first, limit);
      await house.until('hangzhou is open', () => isWritable(house.dirOf('hangzhou')));
    } catch (err) {
      await house.close();
      throw err;
    }
    return house;
  }

  dirOf(place: Place): string {
    return join(this.dir, place);
  }

  /** The ways of one place to the others, and what its process is told. */
  private async lay(place: Place): Promise<void> {
    const granters: { name: string; url: string }[] = [];
    for (const other of places.filter((name) => name !== place)) {
      const target = { host: '127.0.0.1', port: this.portOf(other) };
      const near = await this.links.relay({ from: place, to: other, listen: { host: '127.0.0.1', port: 0 }, target });
      granters.push({ name: other, url: `http://127.0.0.1:${near.port}` });
    }
    const { leaseMs } = this;
    const guards = place !== 'control';
    this.settings.set(place, {
      site: place,
      port: this.portOf(place),
      dir: this.dirOf(place),
      leaseMs,
      token,
      granters,
      guards,
    });
  }

  private portOf(place: Place): number {
    return this.ports.get(place) ?? 0;
  }

  async start(place: Place): Promise<void> {
    const program = join(import.meta.dirname, 'program.ts');
    const child = spawn(process.execPath, [program, JSON.stringify(this.settings.get(place))], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_COMPILE_CACHE: this.options.compileCache, ...this.options.env?.[place] },
    });
    this.processes.set(place, child);
    child.stderr.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    let ready = false;
    child.stdout.on('data', () => (ready = true));
    await this.until(`${place} is ready`, () => {
      if (child.exitCode !== null) throw new Error(`${place} ended with ${child.exitCode}`);
      return ready;
    });
  }

  signal(place: Place, signal: NodeJS.Signals): void {
    this.processes.get(place)?.kill(signal);
  }

  async kill(place: Place): Promise<void> {
    const child = this.processes.get(place);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  cut(a: Place, b: Place, cut: boolean): void {
    const name = this.links.names.find((link) => link.includes(a) && link.includes(b)) ?? '';
    if (cut) this.links.set(name, { kind: 'black-hole' });
    else this.links.clear(name);
  }

  isolate(site: Site, cut: boolean): void {
    for (const place of places) if (place !== site) this.cut(site, place, cut);
  }

  /** Past all faults: the test's own way to a process. */
  direct(place: Place): AgentAddress {
    return { site: place, url: `http://127.0.0.1:${this.portOf(place)}`, token };
  }

  async guard(site: Site): Promise<GuardState> {
    const { guards } = await getState(this.direct(site), limit);
    return guards[0] as GuardState;
  }

  async granter(place: Place): Promise<GranterState> {
    const { granters } = await getState(this.direct(place), limit);
    return granters[0] as GranterState;
  }

  /** The run as the drivers do it when the guard at the old site cannot be asked: stop granting, wait it out, name, promote. */
  async failover(epoch: number, to: Site): Promise<void> {
    const stop = { service: 'shop', throughEpoch: epoch - 1, by: 'test' };
    const [own, other] = await Promise.all([
      stopGranting(this.direct('control'), stop, limit),
      stopGranting(this.direct(to), stop, limit),
    ]);
    await pass(Math.max(own.remainingMs, other.remainingMs) + 70);
    for (const place of ['control', to] as const) {
      await putEpoch(this.direct(place), { service: 'shop', epoch, holder: to }, limit);
    }
    writeWorld(this.dirOf(to), { role: 'primary', hanging: [] });
    await this.openNow(to, epoch);
  }

  async openNow(site: Site, epoch: number): Promise<void> {
    const { url } = this.direct(site);
    const response = await fetch(new URL('/test/open-now', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ epoch }),
      signal: AbortSignal.timeout(15_000),
    });
    if (!response.ok) throw new Error(await response.text());
  }

  async clockOf(place: Place): Promise<number> {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(new URL('/test/clock', this.direct(place).url), { headers });
    return ((await response.json()) as { unixMs: number }).unixMs;
  }

  closeGuard(site: Site, throughEpoch: number, stop: boolean) {
    return closeGuard(this.direct(site), { service: 'shop', throughEpoch, stop }, { timeoutMs: 15_000 });
  }

  /** Everybody who may write does, every few milliseconds. */
  private write(): void {
    // A write counts from its beginning: afterwards its lease may have run out in good order.
    const atMs = hostMs();
    const taken = sites.filter((site) => isWritable(this.dirOf(site)));
    if (taken.length > 1) this.twoWriters += 1;
    for (const site of sites) {
      if (taken.includes(site)) this.lastWriteMs[site] = atMs;
      else this.refusedMs[site].push(atMs);
    }
  }

  isWritable(site: Site): boolean {
    return isWritable(this.dirOf(site));
  }

  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    await until(what, condition).catch((err: unknown) => {
      throw new Error(`${err instanceof Error ? err.message : String(err)}\n${this.output.slice(-4000)}`);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.writer);
    await Promise.all(places.map((place) => this.kill(place)));
    await this.links.close();
    for (const port of this.ports.values()) returnPort('127.0.0.1', port);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export function pass(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs));
}
