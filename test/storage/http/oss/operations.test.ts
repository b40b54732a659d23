/** The life of a bucket told in OSS's words: each operation of the dialect, with what it answers. */
import assert from 'node:assert/strict';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { rootCredentials } from '../../../../storage-node/http/credentials.ts';
import { ossOperations } from '../../../../storage-node/http/oss/index.ts';
import { s3Operations } from '../../../../storage-node/http/s3/index.ts';
import { createFrontDoor } from '../../../../storage-node/http/server.ts';
import { memoryLayer } from '../s3/front.ts';
import { type By, type Sendable, targetOf, ways } from '../signing.ts';
import { bucketRows } from './rows/buckets-and-objects.ts';
import { refusalRows } from './rows/refusals.ts';
import { tagRows } from './rows/tags.ts';
import { uploadRows } from './rows/uploads.ts';
import { versionRows } from './rows/versions.ts';
import { type Row } from './rows/row.ts';

const by: By = {
  accessKey: 'root',
  secret: 'a secret of the tests',
  region: 'us-east-1',
  atMs: Date.now(),
  seconds: 600,
};
const faults: unknown[] = [];
const seen: string[] = [];
const server = createFrontDoor({
  ...{ operations: [...s3Operations, ...ossOperations], layer: memoryLayer() },
  credentials: rootCredentials(by.accessKey, by.secret),
  settings: { region: by.region, owner: 'root', host: 'test' },
  fault: (error) => faults.push(error),
  observe: ({ operation }) => seen.push(operation),
}).server();
before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
after(() => {
  server.closeAllConnections();
  server.close();
});

interface Answered {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

async function send(wanted: Partial<Sendable> & { body?: string }): Promise<Answered> {
  const { port } = server.address() as AddressInfo;
  const { body = '', ...request } = wanted;
  const plain: Sendable = { method: 'GET', path: '/', query: {}, headers: {}, ...request };
  // Versions 1 and 4 of the signature, in turn.
  const way = ways.filter(({ dialect, link }) => dialect === 'oss' && !link)[seen.length % 2]!;
  const sent = await way.sign({ ...plain, headers: { host: `127.0.0.1:${port}`, ...plain.headers } }, by);
  const { method, headers } = sent;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const path = targetOf(sent);
    httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false }, resolve)
      .on('error', reject)
      .end(body);
  });
  return {
    status: answer.statusCode!,
    headers: answer.headers,
    body: Buffer.concat(await answer.toArray()).toString(),
  };
}

/** Found in one answer and asked for by later rows, as `{upload}`. */
const found: Record<string, string> = {};
function filled(text: string): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => found[name] ?? assert.fail(`${name} was not found`));
}

const rows: readonly Row[] = [...bucketRows, ...tagRows, ...uploadRows, ...versionRows, ...refusalRows];

describe('in OSS words', () => {
  for (const row of rows) {
    test(`${row.name}: ${row.status} ${row.is}`, async () => {
      const text = JSON.stringify(row.ask);
      const answer = await send(JSON.parse(filled(text)) as Row['ask']);
      assert.equal(answer.status, row.status, answer.body);
      const refused = row.status >= 400;
      if (!refused) assert.equal(seen.at(-1), row.is);
      if (refused && row.ask.method !== 'HEAD') checkRefusal(answer, row.is);
      checkWords(answer);
      for (const [name, value] of Object.entries(row.headers ?? {})) {
        if (value === '') assert.ok(answer.headers[name] !== undefined, name);
        else assert.equal(answer.headers[name], value, name);
      }
      for (const part of row.says ?? []) {
        const flat = answer.body.replace(/>\s+</g, '><');
        assert.ok(typeof part === 'string' ? flat.includes(part) : part.test(flat), `${String(part)} in ${flat}`);
      }
      if (row.not !== undefined) assert.doesNotMatch(answer.body, row.not);
      for (const [name, pattern] of Object.entries(row.find ?? {})) {
        found[name] = pattern.exec(answer.body)?.[1] ?? pattern.exec(String(answer.headers.etag))?.[1] ?? '';
        assert.ok(found[name] !== '', name);
      }
    });
  }

  test('no row of the dialect is left out, and nothing was a fault of ours', () => {
    assert.deepEqual(
      ossOperations.map(({ name }) => name).filter((name) => !seen.includes(name)),
      [],
    );
    assert.deepEqual(faults, []);
  });
});

/** Whatever is answered: OSS's names of headers, no word of S3's documents. */
function checkWords({ headers, body }: Answered): void {
  assert.deepEqual(
    Object.keys(headers).filter((name) => name.startsWith('x-amz-')),
    [],
  );
  assert.match(String(headers['x-oss-request-id']), /^[0-9A-F]{16}$/);
  assert.doesNotMatch(body, /amazonaws|<StorageClass>[A-Z_]{3,}</);
}

/** The document of an error has OSS's elements, and tells which request it was. */
function checkRefusal({ headers, body }: Answered, code: string): void {
  const elements = [...body.matchAll(/<(\w+)>([^<]*)<\/\w+>/g)].map(([, name, text]) => [name!, text!] as const);
  const document = Object.fromEntries(elements);
  assert.equal(headers['content-type'], 'application/xml');
  assert.match(body, /^<\?xml version="1.0" encoding="UTF-8"\?>\n<Error><Code>/);
  assert.equal(document['Code'], code);
  assert.ok(document['Message']!.length > 10, body);
  assert.equal(document['RequestId'], headers['x-oss-request-id']);
  assert.equal(document['HostId'], 'test');
  assert.equal(document['Resource'], undefined, 'an element of S3');
}
