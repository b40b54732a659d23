import { createWriteStream, mkdirSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import type { TruthRow } from '../truth.ts';
import { runClient } from './client.ts';
import { History, type ClientStats } from './history.ts';

export interface ClientsOptions {
  entryUrl: string;
  clients: number;
  everyMs: number;
  timeoutMs: number;
  truthFile: string;
  /** Where `GET /stats` and `POST /stop` are served. */
  listen: { host: string; port: number };
}

export interface Clients {
  url: string;
  stats(sinceMs?: number): ClientStats;
  /** Lets every order under way end, and resolves when all of the truth is in the file. */
  stop(): Promise<ClientStats>;
  close(): Promise<void>;
}

/** Synthetic clients of the entry, and the truth of what they were told. */
export async function startClients(options: ClientsOptions): Promise<Clients> {
  mkdirSync(dirname(options.truthFile), { recursive: true });
  const file = createWriteStream(options.truthFile);
  const history = new History();
  const stopping = new AbortController();
  const record = (row: TruthRow) => {
    history.add(row);
    file.write(`${JSON.stringify(row)}\n`);
  };
  const stats = (sinceMs = 0): ClientStats => {
    const seen = history.since(sinceMs, Date.now());
    return { ...seen, clients: options.clients, running: !stopping.signal.aborted };
  };
  const names = Array.from({ length: options.clients }, (_, i) => `client-${String(i + 1).padStart(2, '0')}`);
  const server = await serve(options.listen, stats, () => stop());
  const runs = names.map((name) => runClient({ ...options, name, record }, stopping.signal));
  let stopped: Promise<ClientStats> | null = null;
  const stop = () =>
    (stopped ??= (async () => {
      stopping.abort();
      await Promise.all(runs);
      await new Promise<void>((resolve) => file.end(resolve));
      return stats();
    })());
  return { url: server.url, stats, stop, close: () => Promise.all([stop(), server.close()]).then(() => {}) };
}

async function serve(
  listen: ClientsOptions['listen'],
  stats: (sinceMs: number) => ClientStats,
  stop: () => Promise<ClientStats>,
): Promise<{ url: string; close(): Promise<void> }> {
  const reply = async ({ method, url = '/' }: IncomingMessage): Promise<ClientStats | null> => {
    const { pathname, searchParams } = new URL(url, 'http://clients');
    if (method === 'GET' && pathname === '/stats') return stats(Number(searchParams.get('since') ?? 0));
    return method === 'POST' && pathname === '/stop' ? stop() : null;
  };
  const server = createServer((message, response) => {
    void reply(message).then((body) => {
      response.writeHead(body === null ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body ?? { error: 'GET /stats?since=<Unix ms> or POST /stop' }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://${address}:${port}`, close };
}
