import { Agent, leaseMs } from './agent.ts';
import { Database } from './database.ts';
import { Engine, hosts, otherSite, sites, type Host, type Network, type Site } from './engine.ts';
import { Failover } from './failover.ts';
import { isClosed } from '../../../activities/guard/lease-state.ts';

export interface WorldOptions {
  seed: number;
  network: Network;
}

/** Two sites and control: agents with granters and guards, a database each, and runs that move the writer. */
export class World {
  readonly engine: Engine;
  readonly agents = new Map<Host, Agent>();
  readonly databases: Record<Site, Database>;
  readonly log: string[] = [];
  run: Failover | null = null;
  epoch = 1;
  holder: Site = 'hangzhou';
  /** Broken promises, in words; empty in a right world. */
  readonly broken: string[] = [];

  constructor({ seed, network }: WorldOptions) {
    this.engine = new Engine(seed, network);
    this.databases = {
      hangzhou: new Database(this.engine, 'hangzhou', 'primary'),
      beijing: new Database(this.engine, 'beijing', 'standby'),
    };
    for (const host of hosts) {
      const database = host === 'control' ? null : this.databases[host];
      this.agents.set(host, new Agent(this.engine, host, this.agents, database));
    }
    for (const host of hosts) this.agent(host).putEpoch(1, 'hangzhou');
    this.engine.afterEach = () => this.neverTwoWriters();
  }

  agent(host: Host): Agent {
    return this.agents.get(host) as Agent;
  }

  note(line: string): void {
    this.log.push(`${this.engine.nowMs.toFixed(0)} ${line}`);
  }

  private neverTwoWriters(): void {
    if (this.databases.hangzhou.writable() && this.databases.beijing.writable()) this.break('two writers');
  }

  break(what: string): void {
    if (this.broken.length < 3) this.broken.push(`at ${this.engine.nowMs.toFixed(1)} ms: ${what}`);
  }

  /** Starts a run to the other site when none is running and that site is a standby. */
  failover(): void {
    const to = otherSite(this.holder);
    if ((this.run !== null && !this.run.ended) || this.databases[to].role !== 'standby') return;
    this.epoch++;
    this.note(`run: ${this.holder} -> ${to}, epoch ${this.epoch}`);
    const log = (line: string): void => this.note(line);
    this.run = new Failover({ control: this.agent('control'), from: this.holder, to, epoch: this.epoch, log });
    this.holder = to;
    this.run.start();
  }

  /** Makes the site that lost the writer a standby again, once its guard says that it is closed. */
  rejoin(): void {
    const site = otherSite(this.holder);
    const { process, lease } = this.agent(site);
    if (this.run?.ended !== true || !process.alive || process.paused || lease === null || !isClosed(lease)) return;
    const database = this.databases[site];
    if (lease.closedThrough < this.epoch - 1 || database.frozen) return;
    database.boot();
    database.role = 'standby';
    this.note(`${site} rejoined`);
  }

  kill(host: Host): void {
    this.note(`kill ${host}`);
    this.agent(host).process.kill();
  }

  restart(host: Host): void {
    const agent = this.agent(host);
    if (agent.process.alive) return;
    this.note(`restart ${host}`);
    agent.boot();
    if (host === 'control') this.run?.start();
  }

  pause(host: Host): void {
    this.note(`pause ${host}`);
    this.agent(host).process.pause();
  }

  resume(host: Host): void {
    this.note(`resume ${host}`);
    this.agent(host).process.resume();
  }

  freezeSite(site: Site, asleep: boolean): void {
    this.note(`${asleep ? 'sleep' : 'freeze'} ${site}`);
    if (asleep) this.engine.setAsleep(site, true);
    this.agent(site).process.pause();
    this.databases[site].freeze();
  }

  thawSite(site: Site): void {
    this.note(`thaw ${site}`);
    this.engine.setAsleep(site, false);
    // The database first: what was queued there meets the old lease before the guard wakes.
    this.databases[site].unfreeze();
    this.engine.after(this.engine.random.next() * 30, () => this.agent(site).process.resume());
  }

  heal(): void {
    this.note('heal');
    this.engine.network.lossRate = 0;
    for (const host of hosts) {
      this.restart(host);
      for (const other of hosts) this.engine.setCut(host, other, false);
    }
    for (const site of sites) {
      this.databases[site].hangMs = 0;
      this.databases[site].failRate = 0;
      this.thawSite(site);
    }
    this.resume('control');
    // The supervisor of the databases: what crashed comes back, what a guard stopped is the guard's.
    for (const site of sites) {
      const { lease } = this.agent(site);
      if (!this.databases[site].running && lease?.stoppedByGuard !== true) this.databases[site].boot();
    }
  }

  story(): string {
    return [...this.log, ...this.broken, ...hosts.map((host) => this.agent(host).describe())].join('\n');
  }
}

export { leaseMs };
