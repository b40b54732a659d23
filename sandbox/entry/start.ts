import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { adminHandler } from './admin.ts';
import { Proxy, type ProxyLimits } from './proxy.ts';
import { firstState } from './route-state.ts';
import { readState } from './state-file.ts';

export interface EntryOptions {
  listen: { host: string; port: number };
  adminListen: { host: string; port: number };
  token: string;
  upstreams: { site: string; url: string }[];
  /** Where clients go until somebody routes them; ignored when the state file knows better. */
  firstRoute: string | null;
  stateFile: string;
  limits?: Partial<ProxyLimits>;
}

export interface Entry {
  url: string;
  adminUrl: string;
  close(): Promise<void>;
}

const defaultLimits: ProxyLimits = {
  connectMs: 1000,
  answerMs: 3000,
  healthEveryMs: 250,
  healthMs: 500,
  holdMs: 15_000,
};

/** Starts the entry: a reverse proxy whose whole traffic can be moved to another site, held or closed, in one step. */
export async function startEntry(options: EntryOptions): Promise<Entry> {
  const state = (await readState(options.stateFile)) ?? firstState(options.firstRoute);
  const limits = { ...defaultLimits, ...options.limits };
  const proxy = new Proxy({ upstreams: options.upstreams, state, file: options.stateFile, limits });
  const server = serverOf((message, response) => proxy.handle(message, response));
  const admin = serverOf(adminHandler(proxy, options.token));
  const close = async () => {
    const closed = Promise.all([server, admin].map((s) => new Promise((resolve) => s.close(resolve))));
    await proxy.close();
    for (const s of [server, admin]) s.closeAllConnections();
    await closed;
  };
  try {
    const [url, adminUrl] = [await listen(server, options.listen), await listen(admin, options.adminListen)];
    return { url, adminUrl, close };
  } catch (err) {
    await close();
    throw err;
  }
}

function serverOf(handle: (message: IncomingMessage, response: ServerResponse) => Promise<void>): Server {
  const timeouts = { keepAliveTimeout: 65_000, headersTimeout: 10_000, requestTimeout: 30_000 };
  return createServer({ ...timeouts, noDelay: true }, (message, response) => {
    response.on('error', () => {});
    handle(message, response).catch(() => response.destroy());
  });
}

function listen(server: Server, at: { host: string; port: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: at.host, port: at.port, backlog: 511 }, () => {
      const { address, port } = server.address() as AddressInfo;
      resolve(`http://${address}:${port}`);
    });
  });
}
