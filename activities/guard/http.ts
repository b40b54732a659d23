import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MusterError, toMusterError, type ErrorCode } from '../../workflows/engine/errors.ts';

/** A small JSON server: bearer token, bounded bodies, one error shape. Nothing of Muster's protocol is in here. */
export interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Exact path, or everything below it when it ends in `/`. */
  path: string;
  /** Answers without a token (e.g. `/metrics`). */
  withoutToken?: boolean;
  /** Default 16 KiB. */
  bodyLimitBytes?: number;
  handle(request: RouteRequest): Promise<RouteAnswer> | RouteAnswer;
}
export interface RouteRequest {
  /** What follows the route's path; empty for an exact one. */
  rest: string;
  query: URLSearchParams;
  bytes: Buffer;
  /** The body as JSON. @throws MusterError CONFIG_INVALID */
  json(): unknown;
}
/** `json` or `content`; without either the answer has no body. */
export interface RouteAnswer {
  status: number;
  json?: unknown;
  content?: string | Buffer | Readable;
  contentType?: string;
}

export interface HttpServer {
  url: string;
  port: number;
  close(): Promise<void>;
}

const defaultBodyLimitBytes = 16 * 1024;

/** @throws MusterError CONFIG_INVALID when the address cannot be listened on. */
export async function startHttpServer(options: {
  host: string;
  port: number;
  token: string;
  routes: readonly Route[];
}): Promise<HttpServer> {
  if (options.token === '') throw new MusterError('CONFIG_INVALID', 'the agent token is empty');
  const wanted = digest(`Bearer ${options.token}`);
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 15_000 }, (request, response) => {
    serve(request, response, options.routes, wanted).catch(() => response.destroy());
  });
  await listen(server, options.host, options.port);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new MusterError('CONFIG_INVALID', `cannot listen on ${host}:${port}: ${cause.message}`, { cause })),
    );
    server.listen(port, host, resolve);
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  routes: readonly Route[],
  wanted: Buffer,
): Promise<void> {
  try {
    await send(response, await answer(request, routes, wanted));
  } catch (err) {
    if (response.headersSent) throw err;
    const known = toMusterError(err);
    await send(response, { status: statusOf[known.code] ?? 500, json: { error: known.message, code: known.code } });
  }
}

async function answer(request: IncomingMessage, routes: readonly Route[], wanted: Buffer): Promise<RouteAnswer> {
  const url = URL.parse(request.url ?? '/', 'http://agent') ?? new URL('http://agent/');
  const here = routes.filter(
    ({ path }) => path === url.pathname || (path.endsWith('/') && url.pathname.startsWith(path)),
  );
  const route = here.find(({ method }) => method === request.method);
  // The token is checked before anything is told apart, so that nobody without it learns what is here.
  if (route?.withoutToken !== true && !hasToken(request, wanted)) {
    return { status: 401, json: { error: 'missing or wrong bearer token' } };
  }
  if (here.length === 0) return { status: 404, json: { error: `there is nothing at ${url.pathname}` } };
  if (route === undefined)
    return { status: 405, json: { error: `${request.method} is not served at ${url.pathname}` } };
  const bytes = await readBody(request, route.bodyLimitBytes ?? defaultBodyLimitBytes);
  if (bytes === null) return { status: 413, json: { error: 'the body is too large' } };
  const rest = url.pathname.slice(route.path.length);
  return route.handle({ rest, query: url.searchParams, bytes, json: () => parse(bytes) });
}

function hasToken(request: IncomingMessage, wanted: Buffer): boolean {
  return timingSafeEqual(digest(request.headers.authorization ?? ''), wanted);
}

/** Equal lengths whatever was sent, so that comparing tells nothing but equal or not. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new MusterError('CONFIG_INVALID', 'the body is not JSON', { cause });
  }
}

async function send(response: ServerResponse, { status, json, content, contentType }: RouteAnswer): Promise<void> {
  response.statusCode = status;
  response.setHeader('content-type', contentType ?? (json === undefined ? 'text/plain' : 'application/json'));
  // After an unread body the connection cannot be used again.
  if (status === 401 || status === 413) response.setHeader('connection', 'close');
  if (json !== undefined) response.end(JSON.stringify(json));
  else if (content === undefined || typeof content === 'string' || Buffer.isBuffer(content)) response.end(content);
  else await pipeline(content, response);
}

const statusOf: Partial<Record<ErrorCode, number>> = {
  CONFIG_INVALID: 400,
  SERVICE_UNKNOWN: 404,
  EPOCH_STALE: 409,
  LEASE_REFUSED: 409,
  FENCE_UNCONFIRMED: 503,
};
