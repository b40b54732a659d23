import { leaseMs } from './agent.ts';
import { hosts, sites } from './engine.ts';
import type { World } from './world.ts';

export const faultKinds = [
  'cut',
  'kill',
  'pause',
  'freeze',
  'sleep',
  'clock-forward',
  'clock-back',
  'control',
  'crash',
  'hang',
  'failover',
  'rejoin',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One random fault of a kind, with its own end some time later. */
export function strike(world: World, kind: FaultKind): void {
  const { engine } = world;
  const { random } = engine;
  const host = random.pick(hosts);
  const site = random.pick(sites);
  const lastsMs = random.between(leaseMs / 10, leaseMs * 4);
  const later = (end: () => void): void => engine.after(lastsMs, end);
  const database = world.databases[site];
  switch (kind) {
    case 'cut': {
      const other = random.pick(hosts.filter((name) => name !== host));
      const bothWays = random.chance(0.6);
      world.note(`cut ${host} -> ${other}${bothWays ? ' and back' : ''} for ${lastsMs} ms`);
      const set = (cut: boolean): void => {
        engine.setCut(host, other, cut);
        if (bothWays) engine.setCut(other, host, cut);
      };
      set(true);
      return later(() => set(false));
    }
    case 'kill':
      world.kill(host);
      return later(() => world.restart(host));
    case 'pause':
      world.pause(host);
      return later(() => world.resume(host));
    case 'freeze':
    case 'sleep':
      world.freezeSite(site, kind === 'sleep');
      return later(() => world.thawSite(site));
    case 'control':
      world.kill('control');
      return later(() => world.restart('control'));
    case 'clock-forward':
    case 'clock-back': {
      const byMs = random.pick([300, 5000, 3_600_000]) * (kind === 'clock-back' ? -1 : 1);
      world.note(`clock of ${site} jumps by ${byMs} ms`);
      return engine.jumpWall(site, byMs);
    }
    case 'crash':
      world.note(`crash database ${site}`);
      database.crash();
      return later(() => {
        if (!database.running && world.agent(site).lease?.stoppedByGuard !== true) database.boot();
      });
    case 'hang':
      world.note(`database ${site} hangs`);
      database.hangMs = leaseMs * 2;
      database.failRate = 0.2;
      return later(() => {
        database.hangMs = 0;
        database.failRate = 0;
      });
    case 'failover':
      return world.failover();
    case 'rejoin':
      return world.rejoin();
  }
}
