import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { outcomeHeader, readBody } from '../entry/http.ts';
import { Orders, orderSchema, type Placed } from './orders.ts';
import { Receipts, type ReceiptsOptions } from './receipts.ts';
import { WritableProbe } from './writable.ts';

export interface ShopOptions {
  site: string;
  listen: { host: string; port: number };
  databaseUrl: string;
  connectMs?: number;
  queryMs?: number;
  maxConnections?: number;
  /** Sessions held open even while no order comes. */
  warmSessions?: number;
  /** Where receipts go; without it none are written. */
  receipts?: ReceiptsOptions;
}

export interface Shop {
  url: string;
  close(): Promise<void>;
}

interface Parts {
  site: string;
  orders: Orders;
  probe: WritableProbe;
  receipts: Receipts | null;
}

interface Answer {
  status: number;
  body: unknown;
  outcome?: 'refused' | 'unknown';
}

const warmEveryMs = 5_000;
const statusOf: Record<Placed['kind'], number> = { placed: 201, known: 200, refused: 503, unknown: 500 };

/** The sample application of one site: `POST /orders` answers after the commit and the receipt, `GET /orders/:id`, `GET /healthz`. */
export async function startShop(options: ShopOptions): Promise<Shop> {
  const { site, databaseUrl: url } = options;
  const { connectMs = 1000, queryMs = 2000, maxConnections = 4, warmSessions = 4 } = options;
  const orders = new Orders({ url, site, connectMs, queryMs, maxConnections });
  const warming = setInterval(() => void orders.keepWarm(warmSessions), warmEveryMs);
  void orders.keepWarm(warmSessions);
  const probe = new WritableProbe({ url, limitMs: 500, everyMs: 200 });
  const receipts = options.receipts === undefined ? null : new Receipts(options.receipts, () => probe.now().writable);
  const parts: Parts = { site, orders, probe, receipts };
  const server = createServer({ keepAliveTimeout: 65_000, noDelay: true }, (message, response) => {
    response.on('error', () => {});
    const reply = serve(message, response, parts);
    reply.then((answer) => send(response, answer, site)).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...options.listen, backlog: 511 }, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    url: `http://${address}:${port}`,
    async close() {
      clearInterval(warming);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([closed, probe.close(), orders.close(), receipts?.close()]);
    },
  };
}

async function serve(
  message: IncomingMessage,
  response: ServerResponse,
  { site, orders, probe, receipts }: Parts,
): Promise<Answer> {
  const { method, url = '/' } = message;
  if (method === 'GET' && url === '/healthz') {
    const health = probe.now();
    return { status: health.writable ? 200 : 503, body: { ...health, receipts: receipts?.counts() ?? null } };
  }
  if (method === 'POST' && url === '/orders')
    return place(await readBody(message, response), { site, orders, receipts });
  const id = /^\/orders\/([^/?]+)$/.exec(url)?.[1];
  if (method === 'GET' && id !== undefined) return find(id, orders);
  return { status: 404, body: { error: `no ${method} ${url}` } };
}

async function place(
  body: Buffer | null | undefined,
  { site, orders, receipts }: Omit<Parts, 'probe'>,
): Promise<Answer> {
  let order;
  try {
    order = orderSchema.parse(JSON.parse(body?.toString() ?? ''));
  } catch (err) {
    return { status: 400, body: { error: err instanceof z.ZodError ? z.prettifyError(err) : 'the body is no JSON' } };
  }
  const placed = await orders.place(order);
  const status = statusOf[placed.kind];
  if (placed.kind === 'placed' || placed.kind === 'known') {
    // The order stands whatever becomes of its receipt: the answer says which.
    const written = receipts === null ? null : await receipts.write(order, site);
    return {
      status,
      body: { id: order.id, ...(written === null ? {} : { receipt: written ? 'written' : 'pending' }) },
    };
  }
  return { status, body: { id: order.id, error: placed.why }, outcome: placed.kind };
}

async function find(id: string, orders: Orders): Promise<Answer> {
  if (!z.uuid().safeParse(id).success) return { status: 404, body: { error: 'no such order' } };
  try {
    const order = await orders.find(id);
    return order === null ? { status: 404, body: { error: 'no such order' } } : { status: 200, body: order };
  } catch {
    return { status: 503, body: { error: 'the database does not answer' }, outcome: 'refused' };
  }
}

function send(response: ServerResponse, { status, body, outcome }: Answer, site: string): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  response.setHeader('content-type', 'application/json');
  response.setHeader('content-length', Buffer.byteLength(text));
  response.setHeader('x-muster-site', site);
  if (outcome !== undefined) response.setHeader(outcomeHeader, outcome);
  response.writeHead(status);
  response.end(text);
}
