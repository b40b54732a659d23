import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** How a way between two nodes is cut: packets vanish, or connections break at once. */
export type Cut = 'silent' | 'broken';

/**
 * Relays that all traffic between nodes goes through. Each node is dialled at an address where its relay listens, and
 * listens at another one itself; who dialled is found out from the system's table of connections.
 */
export interface Network {
  /** Cuts the way from one node to another; the way back stays as it is. */
  cut(from: number, to: number, how: Cut): void;
  /** Cuts every way between nodes of different groups, both ways. */
  partition(groups: readonly (readonly number[])[], how: Cut): void;
  heal(): void;
  /** Who is who, once the processes run. */
  setPids(pids: readonly number[]): void;
  close(): Promise<void>;
}

export interface Relayed {
  /** Where others reach the node. */
  from: { host: string; port: number };
  /** Where it listens. */
  to: { host: string; port: number };
}

interface Pipe {
  dialler: number;
  node: number;
  /** The one who dialled, and the one who was. */
  near: Socket;
  far: Socket;
}

export async function createNetwork(nodes: readonly Relayed[]): Promise<Network> {
  const ways = new Map<string, Cut>();
  const pipes = new Set<Pipe>();
  let pids: readonly number[] = [];
  const wayOf = (from: number, to: number): Cut | undefined => ways.get(`${from} ${to}`);
  const apply = (): void => {
    for (const pipe of pipes) applyTo(pipe, wayOf);
  };
  const servers = await Promise.all(
    nodes.map(({ from, to }, node) =>
      listen(from, (near) => {
        const dialler = ownerOf(near, pids);
        // A dialler that is gone already needs nothing any more.
        if (dialler < 0 || wayOf(dialler, node) === 'broken') return near.destroy();
        const far = createConnection({ ...to, noDelay: true });
        const pipe = { dialler, node, near, far };
        pipes.add(pipe);
        join(near, far, () => wayOf(dialler, node));
        join(far, near, () => wayOf(node, dialler));
        const over = (): void => void (near.destroyed && far.destroyed && pipes.delete(pipe));
        near.once('close', over);
        far.once('close', over);
        applyTo(pipe, wayOf);
        return undefined;
      }),
    ),
  );
  return {
    cut(from, to, how) {
      ways.set(`${from} ${to}`, how);
      apply();
    },
    partition(groups, how) {
      for (const [g, group] of groups.entries()) {
        const others = groups.filter((_, i) => i !== g).flat();
        for (const from of group) for (const to of others) ways.set(`${from} ${to}`, how);
      }
      apply();
    },
    heal() {
      ways.clear();
      apply();
    },
    setPids(all) {
      pids = all;
    },
    async close() {
      for (const { near, far } of pipes) {
        near.destroy();
        far.destroy();
      }
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** Nothing is read from a side whose way is cut: what it sends arrives after healing, as if sent again, or never. */
function applyTo({ dialler, node, near, far }: Pipe, wayOf: (from: number, to: number) => Cut | undefined): void {
  const there = wayOf(dialler, node);
  const back = wayOf(node, dialler);
  if (there === 'broken' || back === 'broken') {
    near.destroy();
    far.destroy();
    return;
  }
  flow(near, far, there);
  flow(far, near, back);
}

function flow(source: Socket, target: Socket, way: Cut | undefined): void {
  if (way !== undefined) source.pause();
  else if (source.destroyed) target.destroy();
  else source.resume();
}

function join(source: Socket, target: Socket, way: () => Cut | undefined): void {
  source.on('data', (bytes) => {
    if (!target.write(bytes)) source.pause();
  });
  target.on('drain', () => {
    if (way() === undefined) source.resume();
  });
  source.on('end', () => target.end());
  source.on('error', () => {});
  // Over a way that is cut not even that is noticed, until it is healed.
  source.on('close', () => {
    if (way() === undefined) target.destroy();
  });
}

function listen(at: { host: string; port: number }, take: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, take);
    server.once('error', reject);
    server.listen(at, () => resolve(server));
  });
}

/** Which of these processes is at the other end of a connection on this machine. */
function ownerOf(socket: Socket, pids: readonly number[]): number {
  const port = (socket.remotePort ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const rows = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const peer = (socket.localPort ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const row = rows.find(
    (fields) => fields[1]?.endsWith(`:${port}`) === true && fields[2]?.endsWith(`:${peer}`) === true,
  );
  const link = `socket:[${row?.[9]}]`;
  return pids.findIndex((pid) => holds(pid, link));
}

function holds(pid: number, link: string): boolean {
  const dir = `/proc/${pid}/fd`;
  try {
    return readdirSync(dir).some((fd) => linkAt(`${dir}/${fd}`) === link);
  } catch {
    return false;
  }
}

function linkAt(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}
