/**
 * The S3 operations on a socket, over a cluster of drives in memory, without the gate: nobody is authenticated and
 * bodies come unframed. What the gate does has tests of its own.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { S3Client } from '@aws-sdk/client-s3';
import { StorageError } from '../../../../storage-node/errors.ts';
import { createChecksum } from '../../../../storage-node/hash/checksums.ts';
import {
  type Answer,
  type Operation,
  type OperationContext,
  type ParsedRequest,
  type Payload,
  type Principal,
} from '../../../../storage-node/http/operation.ts';
import { checksumAlgorithms } from '../../../../storage-node/http/s3/checksums.ts';
import { s3Operations } from '../../../../storage-node/http/s3/index.ts';
import { escapeXml } from '../../../../storage-node/http/s3/xml.ts';
import { S3Error } from '../../../../storage-node/http/s3-error.ts';
import { createBallotClock } from '../../../../storage-node/consensus/ballot.ts';
import { createKernels } from '../../../../storage-node/erasure/kernels.ts';
import { type ClusterLayer, createClusterLayer } from '../../../../storage-node/object/cluster-layer.ts';
import { type Checksum } from '../../../../storage-node/object/model.ts';
import { memoryDrives, realClock, seeded, setOf, testEnv } from '../../support/memory-set.ts';

export interface Front {
  endpoint: string;
  client: S3Client;
  layer: ClusterLayer;
  /** Errors of handlers that had begun to answer. */
  failures: unknown[];
  /** A request as it is written, the path not touched by anything. */
  send(method: string, path: string, more?: { headers?: Record<string, string>; body?: string }): Promise<Response>;
  [Symbol.asyncDispose](): Promise<void>;
}

const owner = 'root';

export async function startFront(
  options: { region?: string; layer?: (layer: ClusterLayer) => ClusterLayer } = {},
): Promise<Front> {
  const region = options.region ?? 'us-east-1';
  const made = memoryLayer();
  const layer = options.layer?.(made) ?? made;
  const failures: unknown[] = [];
  const server = createServer((request, response) => {
    serve({ request, response, layer, region }).catch((error: unknown) => {
      if (!response.headersSent) return refuse({ request, response, error });
      failures.push(error);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = { accessKeyId: owner, secretAccessKey: 'not checked here' };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1 });
  return {
    ...{ endpoint, client, layer, failures },
    send: (method, path, more = {}) => rawRequest(endpoint, { method, path, ...more }),
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function memoryLayer(): ClusterLayer {
  const env = testEnv(seeded(7));
  return createClusterLayer({
    env,
    kernels: createKernels(),
    ballots: createBallotClock(0, realClock),
    sets: [setOf(memoryDrives(4), 0)],
    siteEpoch: () => 0,
    lagging: () => {},
    damaged: () => {},
    graceMs: 5,
  });
}

/** `fetch` would tidy up the path; this sends it as it is. */
async function rawRequest(
  endpoint: string,
  input: { method: string; path: string; headers?: Record<string, string>; body?: string },
): Promise<Response> {
  const { request } = await import('node:http');
  const { hostname, port } = new URL(endpoint);
  const { method, path, headers = {}, body } = input;
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const status = answer.statusCode!;
        const bare = status === 204 || status === 304 || method === 'HEAD';
        const pairs = Object.entries(answer.headersDistinct).map(([name, values]) => [name, values!.join(',')]);
        resolve(new Response(bare ? null : Buffer.concat(chunks), { status, headers: Object.fromEntries(pairs) }));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  layer: ClusterLayer;
  region: string;
}

async function serve({ request, response, layer, region }: Exchange): Promise<void> {
  const parsed = parse(request);
  const operation = route(parsed);
  const context: OperationContext = {
    principal: { accessKey: owner, owner } as Principal,
    request: parsed,
    payload: payloadOf(request),
    layer,
    settings: { region, owner },
    raw: { request, response },
  };
  const answer = await operation.handle(context);
  if (answer !== undefined) reply(response, answer);
}

function reply(response: ServerResponse, { status, headers, body }: Answer): void {
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  response.writeHead(status, { ...length, ...headers });
  response.end(body);
}

function parse(request: IncomingMessage): ParsedRequest {
  const [path = '', search = ''] = (request.url ?? '').split(/\?(.*)/s);
  const [, bucket = '', key = ''] = path.split(/^\/([^/]*)\/?/s);
  const pairs = search.split('&').filter((pair) => pair !== '');
  const query = pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2).map(decodeURIComponent));
  return {
    dialect: 's3',
    method: request.method!,
    bucket: decodeURIComponent(bucket),
    key: decodeURIComponent(key),
    query: new Map(query.map(([name, value]) => [name!, value ?? ''])),
    headers: request.headers as Record<string, string>,
    requestId: 'test',
  };
}

/** The most specific row that fits, like the router. */
export function route(request: ParsedRequest): Operation {
  const resource = request.bucket === '' ? 'service' : request.key === '' ? 'bucket' : 'object';
  const fitting = s3Operations.filter(
    (row) =>
      row.method === request.method &&
      row.resource === resource &&
      row.query.every((name) => request.query.has(name)) &&
      (row.header === undefined || request.headers[row.header] !== undefined),
  );
  const weight = (row: Operation): number => row.query.length * 2 + (row.header === undefined ? 0 : 1);
  const [best] = fitting.toSorted((one, other) => weight(other) - weight(one));
  if (best === undefined) throw new S3Error('NotImplemented', 501, 'not implemented');
  return best;
}

function payloadOf(request: IncomingMessage): Payload {
  const { headers } = request;
  const length = headers['content-length'];
  const algorithm = checksumAlgorithms.find((name) => headers[`x-amz-checksum-${name.toLowerCase()}`] !== undefined);
  return {
    expectedBytes: length === undefined ? undefined : Number(length),
    async pipe(target) {
      const running = algorithm === undefined ? undefined : createChecksum(algorithm);
      for await (const chunk of request as AsyncIterable<Buffer>) {
        running?.update(chunk);
        if (!target.write(chunk)) await target.drained();
      }
      const md5 = headers['content-md5'] as string | undefined;
      const value = running === undefined ? '' : Buffer.from(running.digest()).toString('base64');
      if (algorithm !== undefined && value !== headers[`x-amz-checksum-${algorithm.toLowerCase()}`]) {
        throw new S3Error('BadDigest', 400, `The ${algorithm} you specified did not match the calculated checksum.`);
      }
      const checksum: Checksum | undefined = algorithm && { algorithm, value, type: 'FULL_OBJECT' };
      return { claimedMd5: md5 && Buffer.from(md5, 'base64').toString('hex'), checksum };
    },
    async bytes(limit) {
      const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
      if (body.length > limit) throw new S3Error('MaxMessageLengthExceeded', 400, 'Your request was too big.');
      return body;
    },
  };
}

const statuses: Partial<Record<string, number>> = {
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchVersion: 404,
  NoSuchUpload: 404,
  PreconditionFailed: 412,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
};

function refuse({ request, response, error }: { request: IncomingMessage; response: ServerResponse; error: unknown }) {
  const known = error instanceof S3Error || error instanceof StorageError;
  const code = known ? error.code : 'InternalError';
  const status = error instanceof S3Error ? error.status : known ? (statuses[code] ?? 400) : 500;
  const fields = error instanceof S3Error ? error.fields : {};
  const elements = Object.entries(fields).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`);
  const message = escapeXml(error instanceof Error ? error.message : String(error));
  const body = `<Error><Code>${code}</Code><Message>${message}</Message>${elements.join('')}</Error>`;
  const headers = { 'content-type': 'application/xml', ...(error instanceof S3Error ? error.headers : {}) };
  reply(response, request.method === 'HEAD' ? { status, headers } : { status, headers, body });
}
