import { randomBytes } from 'node:crypto';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeOwnedDir, usableDataHome } from '../../activities/drivers/postgres/owner.ts';
import { protectionDir } from '../../activities/drivers/bucket/replication/home.ts';
import { placeAddresses, sites, type Place, type Site } from '../addresses.ts';
import { rpcPortOffset } from '../../storage-node/topology/topology.ts';
import { freePort, returnPort } from '../ports.ts';
import { nodesPerSite } from './storage.ts';
import { serverMaker, type MakeServer } from './template.ts';

/** Where things of one site listen and lie. */
export interface SitePlace {
  host: string;
  databasePort: number;
  shopPort: number;
  agentPort: number;
  /** Where clients reach the nodes of the storage cluster; nodes reach each other on these plus 1000. */
  storage: number[];
  dataDir: string;
  /** What the site's agent keeps; survives the site's death as a disk does. */
  home: string;
}

/** Where everything of a world listens and lies, and the secrets it is made with. */
export interface Places {
  home: string;
  /** Fresh for every world. */
  dir: string;
  estate: string;
  truthFile: string;
  host: Record<Place, string>;
  control: {
    ledgerPort: number;
    workerPort: number;
    entryPort: number;
    adminPort: number;
    clientsPort: number;
    ledgerDir: string;
  };
  sites: Record<Site, SitePlace>;
  receiptsUser: string;
  secrets: { database: string; shop: string; agent: string; entry: string; receipts: string; vault: string };
  makeServer: MakeServer;
  /** Set when PostgreSQL's files cannot lie under the home, because its user cannot get there. */
  databasesElsewhere: string | null;
}

/**
 * Chooses ports and makes the directories anew.
 * @param anyPorts whatever ports the system gives, instead of the default ones or the next free
 */
export async function choosePlaces(homePath: string, anyPorts: boolean): Promise<Places> {
  const home = resolve(homePath);
  const dir = join(home, 'sandbox');
  // What the worker keeps there is about a world that is no more.
  const remembered = [join(home, 'control'), join(protectionDir(home), 'replication')];
  for (const old of [dir, ...remembered]) await rm(old, { recursive: true, force: true });
  const { databases, elsewhere } = await databaseHome(home);
  const { password, makeServer } = await serverMaker(home, 'muster', secret);
  const host = await placeAddresses();
  const port = (place: Place, usual: number): Promise<number> => freePort(host[place], anyPorts ? 0 : usual);
  const place = async (site: Site): Promise<SitePlace> => {
    const siteHome = join(dir, site);
    await mkdir(siteHome, { recursive: true });
    return {
      host: host[site],
      databasePort: await port(site, 5432),
      shopPort: await port(site, 3000),
      agentPort: await port(site, 7811),
      storage: await storagePorts(host[site], anyPorts),
      dataDir: join(databases, site),
      home: siteHome,
    };
  };
  const [hangzhou, beijing] = await Promise.all(sites.map(place));
  if (hangzhou === undefined || beijing === undefined) throw new Error('two sites make a sandbox');
  return {
    ...{ home, dir, host, sites: { hangzhou, beijing }, makeServer, databasesElsewhere: elsewhere },
    estate: join(dir, 'muster.yaml'),
    truthFile: join(dir, 'truth.jsonl'),
    control: {
      ledgerPort: await port('control', 5433),
      workerPort: await port('control', 7810),
      entryPort: await port('control', 8080),
      adminPort: await port('control', 8081),
      clientsPort: await port('control', 8082),
      ledgerDir: join(databases, 'ledger'),
    },
    receiptsUser: 'receipts',
    secrets: {
      database: password,
      shop: secret(),
      agent: secret(),
      entry: secret(),
      receipts: secret(),
      vault: secret(),
    },
  };
}

/** Gives the ports back when the world has ended. */
export function returnPlaces({ host, control, sites: all }: Places): void {
  const { ledgerPort, workerPort, entryPort, adminPort, clientsPort } = control;
  for (const port of [ledgerPort, workerPort, entryPort, adminPort, clientsPort]) returnPort(host.control, port);
  for (const { host: at, databasePort, shopPort, agentPort, storage } of Object.values(all)) {
    for (const port of [databasePort, shopPort, agentPort, ...storage, ...storage.map(peerPort)]) returnPort(at, port);
  }
}

/** Below those that systems give to outgoing connections, which could take a neighbour's in between. */
const anyStoragePorts = { from: 12_000, to: 28_000 };
const peerPort = (port: number): number => port + rpcPortOffset;

/** Ports whose counterpart for the other nodes is free as well. */
async function storagePorts(host: string, anyPorts: boolean): Promise<number[]> {
  const ports: number[] = [];
  const { from, to } = anyStoragePorts;
  let wanted = anyPorts ? from + Math.floor(Math.random() * (to - from)) : 9000;
  while (ports.length < nodesPerSite) {
    const port = await freePort(host, wanted);
    const peer = await freePort(host, peerPort(port));
    wanted = port + 1;
    if (peer === peerPort(port)) ports.push(port);
    else for (const one of [port, peer]) returnPort(host, one);
  }
  return ports;
}

/** `postgres/` under the home; where the server's user cannot get there, a directory elsewhere with a link to it. */
async function databaseHome(home: string): Promise<{ databases: string; elsewhere: string | null }> {
  const wanted = join(home, 'postgres');
  await mkdir(home, { recursive: true });
  await rm(wanted, { recursive: true, force: true });
  const usable = usableDataHome(wanted);
  await rm(usable, { recursive: true, force: true });
  await makeOwnedDir(usable);
  if (usable === wanted) return { databases: wanted, elsewhere: null };
  await symlink(usable, wanted);
  return { databases: usable, elsewhere: usable };
}

function secret(): string {
  return randomBytes(16).toString('hex');
}
