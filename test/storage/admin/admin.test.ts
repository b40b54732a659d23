/** Every route of the administration: what it asks of the node, what it refuses, and that nobody reaches it unsigned. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type AdminParts } from '../../../storage-node/admin/admin.ts';
import { StorageError } from '../../../storage-node/errors.ts';
import { type By, type Sendable, targetOf, type Way, ways } from '../http/signing.ts';
import { account, type AdminAnswer, adminParts, ask, fakeCluster } from './fakes.ts';

const base = '/muster/admin/v1';
const rightly: By = { ...account, region: 'us-east-1', atMs: Date.now(), seconds: 600 };
const [aws, awsLink] = ways as [Way, Way];

/** What was asked of the node, as it was asked. */
const calls: string[] = [];
function recorded(part: string, answers: Record<string, unknown>): never {
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [
      name,
      (...given: unknown[]) => {
        calls.push(`${part}.${name}(${JSON.stringify(given).slice(1, -1)})`);
        if (answer instanceof Error) throw answer;
        return answer;
      },
    ]),
  ) as never;
}
const site = { epoch: 3, fenced: false, leased: true, confirmedSets: 1, sets: 2 };
const recount = { short: 0, complete: true };
const cluster = fakeCluster(4, 2);
const sets = cluster.sets.map(({ index, drives }) => ({ index, drives, toJSON: () => `set ${index}` }));
const written = ['put', 'tags', 'delete', 'version-tags'].map((kind) => ({ kind }));
const parts: Partial<AdminParts> = {
  ...{ topology: cluster.topology, sets },
  fence: recorded('fence', {
    read: Promise.resolve(site),
    set: Promise.resolve({ epoch: 5, fenced: true, leased: false }),
    held: { epoch: 3, remainingMs: 100 },
    lease: Promise.resolve({ epoch: 3, remainingMs: 50 }),
  }),
  healer: recorded('healer', { run: Promise.resolve(recount), status: ['sets'], totals: { queued: 1 } }),
  layer: recorded('layer', { changes: Promise.resolve({ changes: written, position: 7 }) }),
};

async function send(
  wanted: Sendable,
  sent: (signed: Sendable) => Sendable = (one) => one,
  way = aws,
  by = rightly,
): Promise<AdminAnswer & { touched: string[] }> {
  calls.length = 0;
  const touched: string[] = [];
  const signed = sent(await way.sign(wanted, by));
  const headers = signed.headers as Record<string, string>;
  const answer = await ask(adminParts(parts, touched), { method: signed.method, url: targetOf(signed), headers })!;
  return { ...answer, touched };
}

function requestFor(asked: string): Sendable {
  const [method = '', url = ''] = asked.split(' ');
  const [path = '', search = ''] = url.split('?');
  const query = Object.fromEntries(new URLSearchParams(search));
  return { method, path: `${base}/${path}`, query, headers: { host: 'node1:9000' } };
}

interface Row {
  asked: string;
  /** What is asked of the node for it. */
  calls: string[];
  status?: number;
  body?: unknown;
}
const future = Date.now() + 3_600_000;
const rows: Row[] = [
  {
    asked: 'GET site',
    calls: ['fence.read()', 'fence.held()'],
    body: { ...site, lease: { epoch: 3, remainingMs: 100 } },
  },
  {
    asked: 'POST fence?epoch=5',
    calls: ['fence.set({"epoch":5,"fenced":true,"leased":false})'],
    body: { epoch: 5, fenced: true, leased: false },
  },
  { asked: 'POST fence?epoch=5&leased=true', calls: ['fence.set({"epoch":5,"fenced":true,"leased":false})'] },
  { asked: 'POST unfence?epoch=6', calls: ['fence.set({"epoch":6,"fenced":false,"leased":false})'] },
  { asked: 'POST unfence?epoch=6&leased=true', calls: ['fence.set({"epoch":6,"fenced":false,"leased":true})'] },
  { asked: `POST lease?epoch=3&ms=5000&until=${future}`, calls: ['fence.lease(3,5000)'] },
  { asked: `POST lease?epoch=3&ms=0&until=0`, calls: ['fence.lease(3,0)'] },
  { asked: 'GET heal', calls: ['healer.status()', 'healer.totals()'], body: { sets: ['sets'], totals: { queued: 1 } } },
  {
    asked: 'POST heal',
    calls: ['healer.run("set 0","recount")', 'healer.run("set 1","recount")'],
    status: 202,
    body: { started: [0, 1], kind: 'recount' },
  },
  {
    asked: 'POST heal?set=1',
    calls: ['healer.run("set 1","recount")'],
    status: 202,
    body: { started: [1], kind: 'recount' },
  },
  {
    asked: 'POST heal?set=0&verify=true',
    calls: ['healer.run("set 0","scrub")'],
    status: 202,
    body: { started: [0], kind: 'scrub' },
  },
  {
    asked: 'POST heal?wait=true',
    calls: ['healer.run("set 0","recount")', 'healer.run("set 1","recount")'],
    body: { kind: 'recount', sets: [recount, recount] },
  },
  {
    asked: 'GET buckets/photos/changes',
    calls: ['layer.changes("photos",{"after":0,"limit":1000,"waitMs":0})'],
    body: { changes: [{ kind: 'put' }, { kind: 'delete' }], position: 7 },
  },
  {
    asked: 'GET buckets/photos/changes?tags=true',
    calls: ['layer.changes("photos",{"after":0,"limit":1000,"waitMs":0})'],
    body: { changes: written, position: 7 },
  },
  {
    asked: 'GET buckets/photos/changes?after=9007199254740991&limit=20&wait=5',
    calls: ['layer.changes("photos",{"after":9007199254740991,"limit":20,"waitMs":5000})'],
  },
  { asked: 'GET buckets/photos/changes?limit=0', calls: ['layer.changes("photos",{"after":0,"limit":1,"waitMs":0})'] },
  {
    asked: 'GET buckets/photos/changes?limit=99999&wait=9999',
    calls: ['layer.changes("photos",{"after":0,"limit":10000,"waitMs":60000})'],
  },
];

describe('the administration asks of the node what it was asked', () => {
  for (const { asked, calls: expected, status = 200, body } of rows) {
    test(asked, async () => {
      const answer = await send(requestFor(asked));
      assert.deepEqual([answer.status, answer.type], [status, 'application/json'], answer.text);
      assert.deepEqual(calls, expected);
      if (body !== undefined) assert.deepEqual(JSON.parse(answer.text), body);
    });
  }

  test('GET status', async () => {
    const { status, text } = await send(requestFor('GET status'));
    const { sets: told, ...others } = JSON.parse(text) as { sets: { drives: unknown[] }[] };
    assert.equal(status, 200);
    assert.deepEqual(others, {
      ...{ node: 'node1-9000', site: { epoch: 3, fenced: false, leased: true, confirmed: false } },
      ...{ lease: { epoch: 3, remainingMs: 100 }, heal: ['sets'], healTotals: { queued: 1 } },
    });
    assert.deepEqual(
      told.map(({ drives }) => drives.length),
      [4, 4],
    );
  });

  test('a lease on its way for long is shorter by that, and none when it ran out', async () => {
    const soon = await send(requestFor(`POST lease?epoch=3&ms=600000&until=${Date.now() + 60_000}`));
    const [, given] = /^fence\.lease\(3,(\d+)\)$/.exec(calls.join())!;
    assert.ok(Number(given) <= 60_000, given);
    assert.equal(soon.status, 200);
    const late = await send(requestFor(`POST lease?epoch=3&ms=5000&until=${Date.now() - 1}`));
    assert.deepEqual([late.status, calls], [400, []]);
  });

  test('every route that is documented is among these', () => {
    const documented = readFileSync(new URL('../../../docs/storage.md', import.meta.url), 'utf8')
      .split('\n')
      .filter((line) => line.includes(`\`${base}/\``))
      .flatMap((line) => [...line.matchAll(/`([A-Z|]+) ([^`?]+)\??[^`]*`/g)])
      .flatMap(([, methods, path]) =>
        methods!.split('|').map((method) => `${method} ${path!.replace('<name>', 'photos')}`),
      );
    assert.ok(documented.length >= 7, documented.join());
    const here = ['GET status', ...rows.map(({ asked }) => asked.split('?')[0])];
    assert.deepEqual(
      documented.filter((route) => !here.includes(route)),
      [],
    );
  });
});

describe('the administration refuses, and asks nothing of the node', () => {
  const refusals: { asked: string; status: number; says: RegExp }[] = [
    { asked: 'POST fence', status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST fence?epoch=', status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST fence?epoch=-1', status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST fence?epoch=1.5', status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST fence?epoch=0x10', status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST fence?epoch=1e3', status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST fence?epoch=9007199254740993', status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST unfence?epoch=new', status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST lease?epoch=3', status: 400, says: /ms must be a whole number/ },
    { asked: `POST lease?ms=1&until=${future}`, status: 400, says: /epoch must be a whole number/ },
    { asked: 'POST lease?epoch=3&ms=1', status: 400, says: /until must be a whole number/ },
    { asked: `POST lease?epoch=3&ms=600001&until=${future}`, status: 400, says: /at most 600000/ },
    { asked: 'POST heal?set=2', status: 400, says: /no set 2/ },
    { asked: 'POST heal?set=one', status: 400, says: /set must be a whole number/ },
    { asked: 'GET buckets/photos/changes?after=last', status: 400, says: /after must be a whole number/ },
    { asked: 'GET buckets/photos/changes?limit=-5', status: 400, says: /limit must be a whole number/ },
    { asked: 'GET fence?epoch=5', status: 404, says: /There is no GET/ },
    { asked: 'POST status', status: 404, says: /There is no POST/ },
    { asked: 'PUT site', status: 404, says: /There is no PUT/ },
    { asked: 'GET buckets//changes', status: 404, says: /There is no GET/ },
    { asked: 'GET buckets/a/b/changes', status: 404, says: /There is no GET/ },
    { asked: 'GET ', status: 404, says: /There is no GET/ },
    { asked: 'GET statuses', status: 404, says: /There is no GET/ },
  ];
  for (const { asked, status, says } of refusals) {
    test(asked, async () => {
      const answer = await send(requestFor(asked));
      assert.equal(answer.status, status, answer.text);
      assert.match((JSON.parse(answer.text) as { message: string }).message, says);
      assert.deepEqual(calls, []);
    });
  }

  test('what the node itself refuses is told with its status', async () => {
    const refusing = {
      ...parts,
      fence: recorded('fence', { set: Promise.reject(new StorageError('WriteQuorumLost', 'no set confirms epoch 5')) }),
    };
    const signed = await aws.sign(requestFor('POST fence?epoch=5'), rightly);
    const headers = signed.headers as Record<string, string>;
    const answer = await ask(adminParts(refusing), { method: 'POST', url: targetOf(signed), headers })!;
    assert.equal(answer.status, 503);
    assert.deepEqual(JSON.parse(answer.text), { error: 'ServiceUnavailable', message: 'no set confirms epoch 5' });
  });

  test('a fault of the node says nothing of its cause', async () => {
    const broken = { ...parts, healer: recorded('healer', { status: new Error('/secret/path') }) };
    const signed = await aws.sign(requestFor('GET heal'), rightly);
    const headers = signed.headers as Record<string, string>;
    const answer = await ask(adminParts(broken), { method: 'GET', url: targetOf(signed), headers })!;
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.text, /secret/);
  });
});

describe('the administration lets nobody in who did not sign', () => {
  const header = (name: string, value: string) => (one: Sendable) => ({
    ...one,
    headers: { ...one.headers, [name]: value },
  });
  const attacks: { name: string; way?: Way; by?: Partial<By>; sent?: (signed: Sendable) => Sendable }[] = [
    { name: 'nothing', sent: ({ method, path, query }) => ({ method, path, query, headers: { host: 'node1:9000' } }) },
    { name: 'the name alone', sent: header('authorization', `Basic ${Buffer.from('root:root').toString('base64')}`) },
    { name: 'a wrong secret', by: { secret: 'other' } },
    { name: 'an empty secret', by: { secret: '' } },
    { name: 'an unknown key', by: { accessKey: 'nobody' } },
    { name: 'another region', by: { region: 'eu-west-1' } },
    { name: 'an hour too late', by: { atMs: rightly.atMs - 3_600_000 } },
    { name: 'an hour too early', by: { atMs: rightly.atMs + 3_600_000 } },
    { name: 'a link that has ended', way: awsLink, by: { atMs: rightly.atMs - 3_600_000 } },
    { name: 'a link with a wrong secret', way: awsLink, by: { secret: 'other' } },
    { name: 'another query', sent: (one) => ({ ...one, query: { ...one.query, epoch: '99' } }) },
    { name: 'another method', sent: (one) => ({ ...one, method: one.method === 'GET' ? 'POST' : 'GET' }) },
    {
      name: 'another path',
      sent: (one) => ({ ...one, path: `${base}/${one.path.endsWith('/fence') ? 'unfence' : 'fence'}` }),
    },
    { name: 'another host', sent: header('host', 'node2:9000') },
    { name: 'a header that was not signed', sent: header('x-amz-meta-a', 'b') },
    ...ways.filter(({ dialect }) => dialect === 'oss').map((way) => ({ name: way.name, way })),
  ];
  for (const asked of ['GET status', ...rows.map((row) => row.asked)]) {
    test(`${asked} is reached by a right signature, in header or link, and by none of ${attacks.length} wrong ones`, async () => {
      for (const way of [aws, awsLink]) {
        const { status, touched } = await send(requestFor(asked), undefined, way);
        assert.ok(status < 300 && touched.length > 0, way.name);
      }
      for (const { name, way = aws, by, sent } of attacks) {
        const { status, text, touched } = await send(requestFor(asked), sent, way, { ...rightly, ...by });
        assert.ok(status === 403 || status === 400, `${name}: ${status} ${text}`);
        assert.deepEqual([touched, calls], [[], []], name);
      }
    });
  }
});
