/**
 * `node scripts/run.mjs bench/objects.ts [--seconds 4] [--only small,large,list,hash,peer] [--stub] [--tls] [--json]`
 *
 * What the object store client costs, per CPU-second of this process: small objects read and written, large ones
 * streamed through with and without checksums, listings, and checksums alone; with the SDK in the same run as the peer.
 * Against our own four nodes, or with `--stub` against a server of this file that stores nothing, which leaves more of a
 * small machine to the client.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SaxesParser } from 'saxes';
import { readPage } from '../activities/objects/calls/listing.ts';
import { createHasher } from '../activities/objects/checksum/hasher.ts';
import { openObjects } from '../activities/objects/open.ts';
import { type ObjectPlace } from '../activities/objects/place.ts';
import { type ChecksumKind, type ObjectClient } from '../activities/objects/types.ts';
import { XmlReader } from '../activities/objects/xml/reader.ts';
import { startMuster } from './storage/targets.ts';

const { values: args } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    only: { type: 'string', default: 'small,large,list,hash,peer' },
    stub: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(args.seconds);
const smallBytes = 10 * 1024;
const largeBytes = 64 * 2 ** 20;
const bucket = 'bench-objects';

interface Row {
  figure: string;
  perCpuSecond: number;
  perSecond: number;
  unit: string;
}
const rows: Row[] = [];

/** Runs `work` for a while, so many wide, and counts what it returns against the processor time of this process. */
async function measure(figure: string, unit: string, work: () => number | Promise<number>, width = 1): Promise<void> {
  const round = async (forMs: number): Promise<{ amount: number; cpuSeconds: number; wallSeconds: number }> => {
    const before = process.cpuUsage();
    const startedAtMs = performance.now();
    let amount = 0;
    const worker = async (): Promise<void> => {
      while (performance.now() - startedAtMs < forMs) {
        const done = await work();
        amount += done;
      }
    };
    await Promise.all(Array.from({ length: width }, worker));
    const { user, system } = process.cpuUsage(before);
    return { amount, cpuSeconds: (user + system) / 1e6, wallSeconds: (performance.now() - startedAtMs) / 1000 };
  };
  await round(Math.min(1_500, seconds * 500));
  const { amount, cpuSeconds, wallSeconds } = await round(seconds * 1000);
  const row = { figure, unit, perCpuSecond: amount / cpuSeconds, perSecond: amount / wallSeconds };
  rows.push(row);
  if (args.json) return;
  const cells = [row.perCpuSecond, row.perSecond].map((value) => Math.round(value).toLocaleString('en').padStart(11));
  console.log(`${figure.padEnd(58)}${cells.join('')}  ${unit}`);
}

const wanted = (name: string): boolean => args.only.split(',').includes(name);

async function smallObjects(client: ObjectClient, dialect: string): Promise<void> {
  const bytes = randomBytes(smallBytes);
  await client.put('small', bytes);
  let n = 0;
  const pair = async (): Promise<number> => {
    const { bytes: read } = await client.getBytes('small');
    await client.put(`small/${n++ % 512}`, read);
    return 1;
  };
  await measure(`${dialect}: GET + PUT of 10 KiB, 32 wide`, 'pairs', pair, 32);
}

async function largeObjects(client: ObjectClient, dialect: string): Promise<void> {
  const bytes = randomBytes(largeBytes);
  await client.put('large', bytes);
  for (const kinds of [[], ['crc64nvme'], ['crc64nvme', 'crc64ecma'], ['md5']] as ChecksumKind[][]) {
    let n = 0;
    const stream = async (): Promise<number> => {
      const body = await client.get('large');
      const hasher = createHasher(kinds);
      const open = async function* () {
        for await (const chunk of body) {
          hasher.update(chunk);
          yield chunk;
        }
      };
      const source = { sizeBytes: body.lengthBytes, open: kinds.length === 0 ? () => body : open, once: true };
      await client.put(`large/${n++ % 4}`, source, { checksums: () => hasher.digest() });
      return largeBytes / 1e6;
    };
    await measure(`${dialect}: GET to PUT of 64 MiB, 4 wide, ${kinds.join(' + ') || 'no checksum'}`, 'MB', stream, 4);
  }
}

async function listings(client: ObjectClient): Promise<void> {
  if (!args.stub) {
    const keys = Array.from({ length: 1_000 }, (_, i) => `list/folder-${i % 10}/object-${i}.jpeg`);
    await Promise.all(keys.map((key) => client.put(key, Buffer.from('x'))));
    const page = async (): Promise<number> => (await client.list({ prefix: 'list/' })).objects.length;
    await measure('list of 1,000 keys a page, 2 wide', 'keys', page, 2);
  }
  const document = Buffer.from(samplePage());
  await measure('page of a listing read by our reader', 'keys', () => {
    const reader = new XmlReader(document);
    reader.next();
    return readPage(reader).objects.length;
  });
  await measure('the same page read by saxes', 'keys', () => bySaxes(document));
}

/** As S3 writes it. */
function samplePage(): string {
  const contents = Array.from(
    { length: 1_000 },
    (_, i) =>
      `<Contents><Key>photos/2026/${String(i).padStart(6, '0')}-%C3%BC.jpeg</Key><LastModified>2026-03-04T05:06:07.000Z</LastModified>` +
      `<ETag>&quot;${'0123456789abcdef'.repeat(2)}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>` +
      `<ChecksumType>FULL_OBJECT</ChecksumType><Size>${i * 1000}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
  );
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
    `<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`
  );
}

function bySaxes(document: Buffer): number {
  const objects: Record<string, string>[] = [];
  const parser = new SaxesParser();
  let text = '';
  parser.on('opentag', ({ name }) => {
    if (name === 'Contents') objects.push({});
    text = '';
  });
  parser.on('text', (piece) => {
    text += piece;
  });
  parser.on('closetag', ({ name }) => {
    const object = objects.at(-1);
    if (object !== undefined) object[name] = text;
  });
  parser.write(document.toString('utf8')).close();
  return objects.length;
}

async function checksums(): Promise<void> {
  for (const sizeBytes of [10 * 1024, 64 * 1024, 2 ** 20]) {
    const bytes = randomBytes(sizeBytes);
    for (const kinds of [
      ...[['crc64nvme'], ['crc64ecma'], ['crc64nvme', 'crc64ecma'], ['crc32c'], ['crc32'], ['md5'], ['sha256']],
    ] as ChecksumKind[][]) {
      const hasher = createHasher(kinds);
      await measure(`${kinds.join(' + ')} over ${sizeBytes / 1024} KiB`, 'MB', () => {
        for (let done = 0; done < 2 ** 20; done += sizeBytes) hasher.update(bytes);
        return 2 ** 20 / 1e6;
      });
    }
  }
}

async function sdk(place: ObjectPlace): Promise<void> {
  if (place.credentials.kind !== 'fixed') return;
  const client = new S3Client({
    ...{ endpoint: place.endpoint, region: place.region, forcePathStyle: true },
    credentials: place.credentials.credentials,
    ...{ requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' },
  });
  let n = 0;
  const pair = async (): Promise<number> => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'small' }));
    const read = await Body!.transformToByteArray();
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: `small/${n++ % 512}`, Body: read }));
    return 1;
  };
  await measure('peer, @aws-sdk/client-s3: GET + PUT of 10 KiB, 32 wide', 'pairs', pair, 32);
  client.destroy();
}

/** Answers anything at once: `GET` with so many bytes as the key's name says, `PUT` when it has read the body. */
function serveStub(): void {
  const bodies = { small: randomBytes(smallBytes), large: randomBytes(largeBytes) };
  const etag = `"${'0'.repeat(32)}-1"`;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (request.method === 'GET') {
      const body = request.url!.includes('/large') ? bodies.large : bodies.small;
      response.writeHead(200, { 'content-length': body.length, etag, 'last-modified': new Date().toUTCString() });
      response.end(body);
      return;
    }
    request.on('end', () => response.writeHead(200, { 'content-length': 0, etag }).end()).resume();
  });
  server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port));
}

interface Started {
  endpoint: string;
  keys: { accessKeyId: string; secretAccessKey: string };
  stop: () => Promise<unknown> | void;
}

async function start(dir: string): Promise<Started> {
  if (!args.stub) {
    const target = await startMuster(dir, args.tls);
    const keys = { accessKeyId: target.accessKey, secretAccessKey: target.secretKey };
    return { endpoint: target.endpoints[0]!, keys, stop: () => target.stop() };
  }
  const child = fork(import.meta.filename, [], { env: { ...process.env, BENCH_STUB: '1' } });
  const [port] = (await once(child, 'message')) as [number];
  const keys = { accessKeyId: 'stub', secretAccessKey: 'stub' };
  return { endpoint: `http://127.0.0.1:${port}`, keys, stop: () => void child.kill() };
}

async function main(): Promise<void> {
  const dir = mkdtempSync(path.join(tmpdir(), 'muster-bench-objects-'));
  const started = await start(dir);
  try {
    for (const dialect of ['s3', 'oss'] as const) {
      const place: ObjectPlace = {
        ...{ dialect, bucket, prefix: '', region: 'us-east-1', addressing: 'path', endpoint: started.endpoint },
        credentials: { kind: 'fixed', credentials: started.keys },
        ...(args.tls ? { caFile: path.join(dir, 'certs', 'ca.crt') } : {}),
      };
      await using client = openObjects(place);
      await client.createBucket();
      if (wanted('small')) await smallObjects(client, dialect);
      if (wanted('large')) await largeObjects(client, dialect);
      if (dialect === 'oss') continue;
      if (wanted('peer')) await sdk(place);
      if (wanted('list')) await listings(client);
    }
    if (wanted('hash')) await checksums();
    if (args.json) console.log(JSON.stringify(rows, undefined, 2));
  } finally {
    await started.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

if (process.env['BENCH_STUB'] === '1') serveStub();
else await main();
