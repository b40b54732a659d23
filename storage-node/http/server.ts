import { randomBytes } from 'node:crypto';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type Duplex } from 'node:stream';
import { type ObjectLayer } from '../object/layer.ts';
import { type Credentials } from './credentials.ts';
import { errorAnswer, refusal } from './errors.ts';
import { admit, plainHeaders } from './gate.ts';
import { type Answer, type Dialect, type Operation, type ParsedRequest } from './operation.ts';
import { payloadOf } from './payload.ts';
import { parseRequestLine, type RequestLine } from './request-line.ts';
import { createRouter, type Router } from './router.ts';
import { S3Error } from './s3-error.ts';
import { clientCiphers, writeWithoutCopies } from './tls-writing.ts';

export interface FrontDoorOptions {
  operations: readonly Operation[];
  layer: ObjectLayer;
  credentials: Credentials;
  settings: { region: string; owner: string; host: string };
  /** Names under which `<bucket>.<name>` is a bucket, too. */
  domains?: readonly string[];
  /** Paths that are not S3's (health, metrics, administration). True when it took the request. */
  admin?: (request: IncomingMessage, response: ServerResponse, line: RequestLine) => boolean;
  /** Told of each answered request. */
  observe?: (seen: { operation: string; status: number; seconds: number }) => void;
  /** Told of faults of our own, with the request's id. */
  fault?: (error: unknown, requestId: string) => void;
  nowMs?: () => number;
}

/** The public face of a node. */
export interface FrontDoor {
  readonly router: Router;
  /** A server that is not listening yet. */
  server(tls?: { key: string | Buffer; cert: string | Buffer }): Server;
}

const limits: ServerOptions = {
  // A slow upload is no attack; headers that do not come are.
  headersTimeout: 10_000,
  requestTimeout: 0,
  keepAliveTimeout: 75_000,
  maxHeaderSize: 32 * 1024,
  noDelay: true,
};

export function createFrontDoor(options: FrontDoorOptions): FrontDoor {
  const router = createRouter(options.operations);
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    serve(options, router, request, response).catch((error: unknown) => {
      options.fault?.(error, '-');
      request.socket.destroy();
    });
  };
  return {
    router,
    server(tls) {
      const server = tls === undefined ? createHttpServer(limits) : httpsServer(tls);
      server.on('request', handle);
      // 100 Continue goes out when the body is wanted, not before the gate.
      server.on('checkContinue', handle);
      server.on('checkExpectation', handle);
      server.on('clientError', refuseUnreadable);
      return server;
    },
  };
}

function httpsServer(tls: { key: string | Buffer; cert: string | Buffer }): Server {
  const server = createHttpsServer({ ...limits, ...tls, ciphers: clientCiphers, honorCipherOrder: true });
  server.on('secureConnection', writeWithoutCopies);
  return server as unknown as Server;
}

/** What is not even HTTP, or too much of it, in the words a client of S3 can read. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${tooLarge ? 'RequestHeaderSectionTooLarge' : 'InvalidRequest'}</Code><Message>The request could not be read.</Message></Error>`;
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/xml\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

async function serve(
  options: FrontDoorOptions,
  router: Router,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const startedAt = performance.now();
  const requestId = randomBytes(8).toString('hex').toUpperCase();
  const method = request.method ?? '';
  const headers = plainHeaders(request);
  let where: { dialect: Dialect; bucket: string; key: string } = { dialect: 's3', bucket: '', key: '' };
  let operation = 'unknown';
  let answer: Answer | undefined;
  try {
    const line = parseRequestLine(request.url ?? '/');
    if (options.admin?.(request, response, line) === true) return;
    if (headers['transfer-encoding'] !== undefined && headers['content-length'] !== undefined) {
      throw new S3Error('InvalidRequest', 400, 'Content-Length and Transfer-Encoding exclude each other.');
    }
    if (headers['authorization']?.startsWith('OSS') === true || line.query.has('OSSAccessKeyId')) where.dialect = 'oss';
    const named = bucketAndKey(line.path, headers['host'] ?? '', options.domains ?? []);
    where = { ...where, ...named };
    const signedLine =
      named.fromHost && where.dialect === 'oss' ? { ...line, path: `/${named.bucket}${line.path}` } : line;
    const admission = admit(
      { method, line: signedLine, headers, rawHeaders: request.rawHeaders },
      { credentials: options.credentials, region: options.settings.region, nowMs: options.nowMs ?? Date.now },
    );
    where.dialect = admission.dialect;
    const parsed: ParsedRequest = { ...where, method, query: line.query, headers, requestId };
    const found = router.find(parsed);
    operation = found.name;
    const payload = payloadOf(
      request,
      found.objectChecksum === true ? withoutChecksums(headers) : headers,
      admission.body,
    );
    answer = await found.handle({
      principal: admission.principal,
      request: parsed,
      payload: withContinue(payload, request, response),
      layer: options.layer,
      settings: options.settings,
      raw: { request, response },
    });
  } catch (error) {
    const refused = refusal(error);
    if (refused.status >= 500 && refused.code === 'InternalError') options.fault?.(error, requestId);
    // An answer that is under way cannot be taken back: the client must see that it is not whole.
    if (response.headersSent) {
      request.socket.destroy();
      return;
    }
    answer = errorAnswer(refused, { ...where, method, requestId, host: options.settings.host });
  }
  if (answer !== undefined) send(response, answer, { method, requestId, dialect: where.dialect, request });
  options.observe?.({
    operation,
    status: answer?.status ?? response.statusCode,
    seconds: (performance.now() - startedAt) / 1000,
  });
}

/** Tells a client that waits for it to go on, at the moment its body is read. */
function withContinue(
  payload: ReturnType<typeof payloadOf>,
  request: IncomingMessage,
  response: ServerResponse,
): ReturnType<typeof payloadOf> {
  if (request.headers.expect?.toLowerCase() !== '100-continue') return payload;
  let told = false;
  const tell = (): void => {
    if (!told) response.writeContinue();
    told = true;
  };
  return {
    expectedBytes: payload.expectedBytes,
    pipe(target) {
      tell();
      return payload.pipe(target);
    },
    bytes(limit) {
      tell();
      return payload.bytes(limit);
    },
  };
}

/** Checksum headers that speak of the object to be made are no claim about the body. */
function withoutChecksums(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !/^x-amz-checksum-(crc|sha)/.test(name)));
}

function bucketAndKey(
  path: string,
  host: string,
  domains: readonly string[],
): { bucket: string; key: string; fromHost: boolean } {
  const name = host.replace(/:\d+$/, '').toLowerCase();
  const domain = domains.find((one) => name.endsWith(`.${one}`));
  if (domain !== undefined) return { bucket: name.slice(0, -domain.length - 1), key: path.slice(1), fromHost: true };
  const slash = path.indexOf('/', 1);
  return slash < 0
    ? { bucket: path.slice(1), key: '', fromHost: false }
    : { bucket: path.slice(1, slash), key: path.slice(slash + 1), fromHost: false };
}

function send(
  response: ServerResponse,
  answer: Answer,
  about: { method: string; requestId: string; dialect: Dialect; request: IncomingMessage },
): void {
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
  const headers: Record<string, string> = { ...answer.headers };
  headers[about.dialect === 'oss' ? 'x-oss-request-id' : 'x-amz-request-id'] = about.requestId;
  headers['server'] = 'Muster';
  if (body !== undefined) headers['content-length'] = String(body.length);
  else if (about.method !== 'HEAD' && answer.status !== 204 && answer.status !== 304) headers['content-length'] = '0';
  // A body nobody read would be taken for the next request.
  if (!about.request.complete) headers['connection'] = 'close';
  response.writeHead(answer.status, headers);
  response.end(about.method === 'HEAD' ? undefined : body);
}
