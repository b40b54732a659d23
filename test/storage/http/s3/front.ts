/** The front door with the S3 operations, over a cluster of drives in memory. */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { type AddressInfo } from 'node:net';
import { S3Client } from '@aws-sdk/client-s3';
import { SignatureV4 } from '@smithy/signature-v4';
import { createBallotClock } from '../../../../storage-node/consensus/ballot.ts';
import { createKernels } from '../../../../storage-node/erasure/kernels.ts';
import { rootCredentials } from '../../../../storage-node/http/credentials.ts';
import { s3Operations } from '../../../../storage-node/http/s3/index.ts';
import { createFrontDoor } from '../../../../storage-node/http/server.ts';
import { type ClusterLayer, createClusterLayer } from '../../../../storage-node/object/cluster-layer.ts';
import { memoryDrives, realClock, seeded, setOf, testEnv } from '../../support/memory-set.ts';

export interface Front {
  endpoint: string;
  client: S3Client;
  layer: ClusterLayer;
  /** Faults of its own that the server told of. */
  faults: unknown[];
  /** A signed request whose path is sent as it is. */
  send(method: string, path: string, more?: { headers?: Record<string, string>; body?: string }): Promise<Response>;
  /** The lines of a signed request without a body, for clients that misbehave. */
  lines(method: string, path: string): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

const credentials = { accessKeyId: 'root', secretAccessKey: 'a secret of the tests' };

export async function startFront(
  options: { region?: string; layer?: (layer: ClusterLayer) => ClusterLayer } = {},
): Promise<Front> {
  const region = options.region ?? 'us-east-1';
  const made = memoryLayer();
  const layer = options.layer?.(made) ?? made;
  const faults: unknown[] = [];
  const door = createFrontDoor({
    operations: s3Operations,
    layer,
    credentials: rootCredentials(credentials.accessKeyId, credentials.secretAccessKey),
    settings: { region, owner: 'root', host: 'test' },
    fault: (error) => faults.push(error),
  });
  const server = door.server();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1 });
  const sign = signer(region, `127.0.0.1:${port}`);
  return {
    ...{ endpoint, client, layer, faults },
    async send(method, path, more = {}) {
      const headers = await sign({ method, path, headers: more.headers ?? {}, body: more.body ?? '' });
      return exchange({ port, method, path, headers, body: more.body });
    },
    async lines(method, path) {
      const headers = Object.entries(await sign({ method, path, headers: {}, body: '' }));
      return `${method} ${path} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function memoryLayer(): ClusterLayer {
  return createClusterLayer({
    env: testEnv(seeded(7)),
    kernels: createKernels(),
    ballots: createBallotClock(0, realClock),
    sets: [setOf(memoryDrives(4), 0)],
    siteEpoch: () => 0,
    lagging: () => {},
    damaged: () => {},
    graceMs: 5,
  });
}

interface Signed {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

function signer(region: string, host: string): (request: Signed) => Promise<Record<string, string>> {
  const service = 's3';
  const signature = new SignatureV4({
    ...{ service, region, credentials, sha256: Sha256, uriEscapePath: false, applyChecksum: false },
  });
  return async ({ method, path, headers, body }) => {
    const [pathname = '', search = ''] = path.split(/\?(.*)/s);
    const pairs = search.split('&').filter((pair) => pair !== '');
    const query = Object.fromEntries(
      pairs.map((pair) => {
        const [name = '', value = ''] = pair.split(/=(.*)/s).map(decodeURIComponent);
        return [name, value];
      }),
    );
    const signed = await signature.sign({
      ...{ method, path: pathname, query, protocol: 'http:', hostname: host },
      headers: { ...headers, host, 'x-amz-content-sha256': createHash('sha256').update(body).digest('hex') },
    });
    return signed.headers;
  };
}

type Bytes = string | ArrayBuffer | ArrayBufferView;

function bytesOf(data: Bytes): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  return data instanceof ArrayBuffer ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/** As the signer wants it; a hash with a secret, an HMAC. */
class Sha256 {
  readonly hash: Hash | Hmac;
  constructor(secret?: Bytes) {
    this.hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }
  update(data: Bytes): void {
    this.hash.update(bytesOf(data));
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.hash.digest());
  }
  reset(): void {}
}

/** `fetch` would tidy up the path. */
function exchange(input: {
  port: number;
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}): Promise<Response> {
  const { port, method, path, headers, body } = input;
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ hostname: '127.0.0.1', port, method, path, headers, agent: false }, (answer) => {
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
