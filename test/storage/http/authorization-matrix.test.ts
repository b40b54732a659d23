/** Every row of the route table against everything that is no right signature for it. The matrix is made, not written. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { rootCredentials } from '../../../storage-node/http/credentials.ts';
import { type Operation } from '../../../storage-node/http/operation.ts';
import { ossOperations } from '../../../storage-node/http/oss/index.ts';
import { s3Operations } from '../../../storage-node/http/s3/index.ts';
import { createFrontDoor } from '../../../storage-node/http/server.ts';
import { type ObjectLayer } from '../../../storage-node/object/layer.ts';
import { type By, type Sendable, targetOf, uncoveredInV1, type Way, ways } from './signing.ts';

const host = 'store.example.com';
const rightly: By = {
  ...{ accessKey: 'root', secret: 'a secret of the tests', region: 'us-east-1' },
  ...{ atMs: Date.now(), seconds: 600 },
};
const nameOf = ({ dialect, name }: Operation): string => `${dialect} ${name}`;

/** Names of the operations that were reached, in order, and the bucket the last of them was asked for. */
const reached: string[] = [];
let bucketAsked = '';
/** What was asked of the object layer, and faults of the server's own: neither is expected of anything here. */
const touched: string[] = [];
const spies = [...s3Operations, ...ossOperations].map((operation): Operation => ({
  ...operation,
  handle({ request }) {
    reached.push(nameOf(operation));
    bucketAsked = request.bucket;
    return Promise.resolve({ status: 204 });
  },
}));
const layer = new Proxy({} as ObjectLayer, {
  get(_, name) {
    touched.push(String(name));
    return undefined;
  },
});
const door = createFrontDoor({
  ...{ operations: spies, layer, domains: [host] },
  credentials: rootCredentials(rightly.accessKey, rightly.secret),
  settings: { region: rightly.region, owner: 'root', host: 'test' },
  fault: (error) => touched.push(String(error)),
  nowMs: () => rightly.atMs,
});
const { table } = door.router;
const server = door.server();
const agent = new Agent({ keepAlive: true });
before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
after(() => {
  agent.destroy();
  server.closeAllConnections();
  server.close();
});

/** Status of the answer, and its code where it has one. */
async function send(sent: Sendable): Promise<{ status: number; code: string }> {
  const { port } = server.address() as AddressInfo;
  const { method, headers } = sent;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port, method, path: targetOf(sent), headers, agent }, resolve)
      .on('error', reject)
      .end();
  });
  const text = Buffer.concat(await answer.toArray()).toString();
  return { status: answer.statusCode!, code: /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? '' };
}

const paths: Record<Operation['resource'], string> = { service: '/', bucket: '/photos/', object: '/photos/a%20key' };

/** A request that only this row answers. */
function requestFor(row: Operation): Sendable {
  const headers: Sendable['headers'] = { host };
  if (row.header !== undefined) headers[row.header] = '/photos/source';
  const query = Object.fromEntries(row.query.map((name) => [name, valueOf[name] ?? '']));
  return { method: row.method, path: paths[row.resource], query, headers };
}
const valueOf: Record<string, string> = { 'list-type': '2', partNumber: '1', uploadId: 'an upload' };

type Change = (request: Sendable, way: Way, row: Operation) => Sendable;
interface Attack {
  name: string;
  by?: Partial<By>;
  /** What is signed instead; what differs is put back before it is sent. */
  signed?: Change;
  /** What is done to the request after it was signed. */
  sent?: Change;
  /** Where it cannot be made. */
  unless?: (way: Way, row: Operation) => boolean;
}

const withHeader = (request: Sendable, more: Sendable['headers']): Sendable => ({
  ...request,
  headers: { ...request.headers, ...more },
});
const withQuery = (request: Sendable, more: Record<string, string>): Sendable => ({
  ...request,
  query: { ...request.query, ...more },
});
const without = <T>(record: Record<string, T>, name: string): Record<string, T> =>
  Object.fromEntries(Object.entries(record).filter(([other]) => other !== name));
const withProof = (request: Sendable, way: Way, change: (proof: string) => string): Sendable =>
  way.link
    ? withQuery(request, { [way.proof]: change(request.query[way.proof]!) })
    : withHeader(request, { [way.proof]: change(String(request.headers[way.proof])) });
const added =
  (name: string, value = 'x'): Change =>
  (request) =>
    withHeader(request, { [name]: value });
const ownMeta = (way: Way): string => (way.dialect === 'oss' ? 'x-oss-meta-colour' : 'x-amz-meta-colour');
/** OSS signs a bucket, wherever it was named, and no host. */
const signsNoHost = (way: Way): boolean => way.dialect === 'oss' && way.name !== 'OSS version 4';

const attacks: readonly Attack[] = [
  {
    name: 'no signature',
    sent: (request, way) =>
      way.link
        ? { ...request, query: without(request.query, way.proof) }
        : { ...request, headers: without(request.headers, way.proof) },
  },
  { name: 'nothing of a signature', sent: (request, _, row) => ({ ...request, ...requestFor(row) }) },
  {
    name: 'an empty signature',
    sent: (request, way) => withProof(request, way, (proof) => (way.link ? '' : ` ${proof.replace(/[^=:]+=*$/, '')}`)),
  },
  { name: 'half a signature', sent: (request, way) => withProof(request, way, (proof) => proof.slice(0, -8)) },
  { name: 'a wrong secret', by: { secret: 'another secret' } },
  { name: 'an unknown key', by: { accessKey: 'nobody' } },
  { name: 'an unknown key with the right secret', by: { accessKey: 'Root' } },
  { name: 'one that has expired', by: { atMs: rightly.atMs - 3_600_000 } },
  {
    name: 'one from the future',
    by: { atMs: rightly.atMs + 3_600_000 },
    // Its link says when it ends, not when it was made.
    unless: (way) => way.link && way.dialect === 'oss',
  },
  { name: 'one for another region', by: { region: 'eu-west-1' }, unless: (way) => way.dialect === 'oss' },
  {
    name: 'one for another method',
    signed: (request) => ({ ...request, method: request.method === 'GET' ? 'PUT' : 'GET' }),
  },
  { name: 'one for another path', signed: (request) => ({ ...request, path: `${request.path}other` }) },
  {
    name: 'one for another bucket',
    signed: (request) => ({ ...request, path: request.path.replace('photos', 'films') }),
    unless: (_, row) => row.resource === 'service',
  },
  { name: 'one for another host', signed: added('host', 'evil.example.com'), unless: signsNoHost },
  {
    name: 'one for another value of what selects the operation',
    signed: (request, _, row) => withQuery(request, { [row.query[0]!]: 'other' }),
    unless: (way, row) => row.query.length === 0 || cannotCover(way, row.query[0]!),
  },
  {
    name: 'one without what selects the operation',
    signed: (request, _, row) => ({ ...request, query: without(request.query, row.query[0]!) }),
    unless: (way, row) => row.query.length === 0 || cannotCover(way, row.query[0]!),
  },
  { name: 'a parameter more', sent: (request) => withQuery(request, { versionId: 'other' }) },
  {
    name: 'a parameter more that is none of the operation',
    sent: (request) => withQuery(request, { colour: 'blue' }),
    unless: (way) => signsNoHost(way),
  },
  {
    name: 'another value of a parameter',
    signed: (request) => withQuery(request, { versionId: 'one' }),
    sent: (request) => withQuery(request, { versionId: 'two' }),
  },
  {
    name: 'another source',
    signed: (request, _, row) => withHeader(request, { [row.header!]: '/films/secret' }),
    unless: (_, row) => row.header === undefined,
  },
  {
    name: 'another value of a header',
    signed: (request, way) => added(ownMeta(way), 'blue')(request, way, undefined as never),
    sent: (request, way) => withHeader(request, { [ownMeta(way)]: 'red' }),
  },
  {
    name: 'a header less',
    signed: (request, way) => withHeader(request, { [ownMeta(way)]: 'blue' }),
    sent: (request, way) => ({ ...request, headers: without(request.headers, ownMeta(way)) }),
  },
  {
    name: 'a header in two that was signed as one',
    signed: (request, way) => withHeader(request, { [ownMeta(way)]: 'blue, red' }),
    sent: (request, way) => withHeader(request, { [ownMeta(way)]: ['blue', 'red'] }),
  },
  ...[
    'x-amz-copy-source',
    'x-amz-meta-colour',
    'x-amz-anything',
    'x-oss-copy-source',
    'x-oss-meta-colour',
    'x-oss-anything',
  ].map((header): Attack => ({
    name: `an unsigned ${header}`,
    sent: added(header),
    unless: (_, row) => row.header === header,
  })),
];
function cannotCover(way: Way, parameter: string): boolean {
  return signsNoHost(way) && uncoveredInV1.has(parameter);
}

/** The request as it goes out: what was signed instead is put back. */
async function attack(row: Operation, way: Way, { by, signed, sent }: Attack): Promise<Sendable> {
  const wanted = requestFor(row);
  const other = signed?.(wanted, way, row) ?? wanted;
  const done = await way.sign(other, { ...rightly, ...by });
  const changedHeaders = Object.keys(other.headers).filter((name) => wanted.headers[name] !== undefined);
  const headers = {
    ...done.headers,
    ...Object.fromEntries(changedHeaders.map((name) => [name, wanted.headers[name]!])),
  };
  const back = {
    ...done,
    method: wanted.method,
    path: wanted.path,
    query: { ...done.query, ...wanted.query },
    headers,
  };
  return sent?.(back, way, row) ?? back;
}

async function verdict(sent: Sendable): Promise<string> {
  reached.length = 0;
  touched.length = 0;
  const { status, code } = await send(sent);
  if (reached.length > 0) return `reached ${reached.join(', ')}`;
  if (touched.length > 0) return `touched ${touched.join(', ')}`;
  return status === 403 || status === 400 ? 'refused' : `${status} ${code}`;
}

describe('the route table', () => {
  test('has operations of both dialects', () => {
    for (const dialect of ['s3', 'oss']) assert.ok(table.filter((row) => row.dialect === dialect).length > 20, dialect);
    assert.equal(table.length, s3Operations.length + ossOperations.length);
  });

  test('has every operation that a file of s3/ or oss/ exports', async () => {
    const missing: string[] = [];
    let found = 0;
    for (const folder of ['s3', 'oss']) {
      const files = readdirSync(new URL(`../../../storage-node/http/${folder}/`, import.meta.url));
      for (const file of files) {
        const exported = Object.values(
          (await import(`../../../storage-node/http/${folder}/${file}`)) as Record<string, unknown>,
        );
        for (const one of exported.flat()) {
          if (!isOperation(one)) continue;
          found += 1;
          if (!table.some((row) => nameOf(row) === nameOf(one))) missing.push(`${folder}/${file}: ${one.name}`);
        }
      }
    }
    assert.deepEqual(missing, []);
    assert.ok(found > table.length, `${found}`);
  });

  test('names no operation twice', () => {
    const names = table.map(nameOf);
    assert.deepEqual(names, [...new Set(names)]);
  });
});

function isOperation(value: unknown): value is Operation {
  return typeof value === 'object' && value !== null && 'handle' in value && 'dialect' in value;
}

for (const way of ways) {
  const rows = table.filter(({ dialect }) => dialect === way.dialect);
  describe(`with ${way.name}`, () => {
    for (const row of rows) {
      test(`${row.name} is reached by the right signature and by nothing else`, async () => {
        assert.equal(await verdict(await way.sign(requestFor(row), rightly)), `reached ${nameOf(row)}`);
        const outcomes: Record<string, string> = {};
        for (const one of attacks) {
          if (one.unless?.(way, row) !== true) outcomes[one.name] = await verdict(await attack(row, way, one));
        }
        const through = Object.entries(outcomes).filter(([, outcome]) => outcome !== 'refused');
        assert.deepEqual(through, []);
        assert.ok(Object.keys(outcomes).length > 15);
      });
    }
  });
}

describe("under the name of a bucket's own host", () => {
  const hosted = (request: Sendable, bucket: string): Sendable =>
    withHeader({ ...request, path: request.path.replace('/photos', '') }, { host: `${bucket}.${host}` });
  for (const way of ways) {
    test(`${way.name} opens the bucket it was made for and no other`, async () => {
      for (const row of table.filter(({ dialect, resource }) => dialect === way.dialect && resource !== 'service')) {
        // OSS signs the bucket's name before the path wherever it stands, AWS the path as it is sent.
        const wanted = hosted(requestFor(row), 'photos');
        const toSign = way.dialect === 'oss' ? { ...wanted, path: paths[row.resource] } : wanted;
        const signed = { ...(await way.sign(toSign, rightly)), path: wanted.path };
        assert.deepEqual([await verdict(signed), bucketAsked], [`reached ${nameOf(row)}`, 'photos']);
        const elsewhere = withHeader(signed, { host: `films.${host}` });
        assert.equal(await verdict(elsewhere), 'refused', row.name);
        assert.equal(await verdict({ ...elsewhere, path: paths[row.resource] }), 'refused', row.name);
      }
    });
  }
});
