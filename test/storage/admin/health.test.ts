import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DriveMode, fakeCluster, type FakeCluster, type AdminAnswer, adminParts, ask } from './fakes.ts';

/** Asks without a signature, with nothing but the drives to answer from. */
async function look(cluster: FakeCluster, url: string): Promise<AdminAnswer & { body: Record<string, unknown> }> {
  const { topology, sets } = cluster;
  const answer = await ask(adminParts({ topology, sets }), { url })!;
  return { ...answer, body: JSON.parse(answer.text) as Record<string, unknown> };
}

test('/health/live answers whatever the cluster is like, and touches nothing', async () => {
  const touched: string[] = [];
  const { status, text } = (await ask(adminParts({}, touched), { url: '/health/live' }))!;
  assert.deepEqual([status, JSON.parse(text), touched], [200, { live: true }, []]);
});

/** Modes of the first nodes; the others are well. */
interface Row {
  nodes: number;
  drivesPerNode?: number;
  are: DriveMode[];
  ready: boolean;
  /** Nodes, from 1, that may be stopped. */
  mayStop: number[];
}
const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const rows: Row[] = [
  { nodes: 4, are: [], ready: true, mayStop: range(1, 4) },
  { nodes: 4, are: ['gone'], ready: true, mayStop: [1] },
  { nodes: 4, are: ['stopped'], ready: true, mayStop: [1] },
  { nodes: 4, are: ['full'], ready: true, mayStop: [1] },
  { nodes: 4, are: ['gone', 'gone'], ready: false, mayStop: [] },
  { nodes: 4, are: ['gone', 'full'], ready: false, mayStop: [] },
  { nodes: 4, are: ['full', 'full', 'full', 'full'], ready: false, mayStop: [] },
  { nodes: 4, are: ['gone', 'gone', 'gone', 'gone'], ready: false, mayStop: [] },
  { nodes: 4, drivesPerNode: 3, are: [], ready: true, mayStop: range(1, 4) },
  { nodes: 4, drivesPerNode: 3, are: ['gone'], ready: true, mayStop: [1] },
  { nodes: 8, are: ['gone', 'gone'], ready: true, mayStop: range(1, 8) },
  { nodes: 8, are: ['gone', 'stopped', 'full'], ready: true, mayStop: range(1, 3) },
  { nodes: 8, are: ['gone', 'gone', 'gone', 'gone'], ready: false, mayStop: [] },
  { nodes: 12, are: ['gone', 'gone', 'gone', 'gone'], ready: true, mayStop: range(1, 12) },
  { nodes: 12, are: ['gone', 'gone', 'gone', 'gone', 'gone'], ready: true, mayStop: range(1, 5) },
  { nodes: 16, are: Array<DriveMode>(6).fill('gone'), ready: true, mayStop: range(1, 16) },
  { nodes: 16, are: Array<DriveMode>(7).fill('gone'), ready: true, mayStop: range(1, 7) },
  { nodes: 16, are: Array<DriveMode>(8).fill('gone'), ready: false, mayStop: [] },
  // Two sets, of which the second is whole.
  { nodes: 32, are: Array<DriveMode>(7).fill('gone'), ready: true, mayStop: [...range(1, 7), ...range(17, 32)] },
  { nodes: 32, are: Array<DriveMode>(8).fill('gone'), ready: false, mayStop: [] },
];

for (const { nodes, drivesPerNode = 1, are, ready, mayStop } of rows) {
  const which = are.length === 0 ? 'all well' : are.join(', ');
  describe(`${nodes} nodes with ${drivesPerNode} drives, ${which}`, () => {
    const cluster = fakeCluster(nodes, drivesPerNode);
    for (const [node, mode] of are.entries()) cluster.put(mode, node);

    test(`${ready ? 'are' : 'are not'} ready`, async () => {
      const { status, body } = await look(cluster, '/health/ready');
      assert.deepEqual([status, body['ready']], [ready ? 200 : 503, ready]);
      const sets = body['sets'] as Record<string, unknown>[];
      assert.equal(sets.length, cluster.sets.length);
      assert.equal(
        sets.every(({ writable }) => writable),
        ready,
      );
      assert.ok(!('drives' in sets[0]!), 'directories are told to nobody who did not sign');
    });

    test(`can do without ${mayStop.length === nodes ? 'any' : mayStop.length === 0 ? 'none' : mayStop.join(', ')}`, async () => {
      const able: number[] = [];
      for (const [i, { host, port }] of cluster.topology.nodes.entries()) {
        const { status, body } = await look(cluster, `/health/can-stop?node=${host}:${port}`);
        assert.equal(status, body['canStop'] === true ? 200 : 412);
        assert.equal((body['setsThatCouldNotWrite'] as unknown[]).length === 0, body['canStop']);
        if (body['canStop'] === true) able.push(i + 1);
      }
      assert.deepEqual(able, mayStop);
    });
  });
}

describe('/health/can-stop', () => {
  const cluster = fakeCluster(4);
  const names: { named: string; status: number }[] = [
    { named: '?node=node1:9000', status: 200 },
    { named: '?node=node1-9000', status: 200 },
    { named: '?node=NODE1:9000', status: 200 },
    { named: '', status: 400 },
    { named: '?node=', status: 400 },
    { named: '?node=node1', status: 400 },
    { named: '?node=node9:9000', status: 400 },
    { named: '?node=node1:9001', status: 400 },
  ];
  for (const { named, status } of names) {
    test(`${named === '' ? 'of no node' : named} is ${status}`, async () => {
      const answer = await look(cluster, `/health/can-stop${named}`);
      assert.equal(answer.status, status);
      if (status === 400)
        assert.match(String(answer.body['message']), /node1-9000, node2-9000, node3-9000, node4-9000/);
    });
  }

  test('takes a node with an address of IPv6 in each of its spellings', async () => {
    const six = fakeCluster(4, 1, '[2001:db8::{1...4}]');
    for (const named of [
      '[2001:db8::2]:9000',
      '[2001:0DB8:0:0::2]:9000',
      '2001-db8--2-9000',
      '%5B2001:db8::2%5D:9000',
    ]) {
      const { status, body } = await look(six, `/health/can-stop?node=${named}`);
      assert.deepEqual([status, body['node']], [200, '2001-db8--2-9000'], named);
    }
    const { status, body } = await look(six, '/health/can-stop?node=2001:db8::2:9000');
    assert.equal(status, 400);
    assert.match(String(body['message']), /2001-db8--1-9000, .*an IPv6 address stands in brackets/);
  });

  test('says which sets could not write', async () => {
    const two = fakeCluster(4, 2);
    two.put('gone', 0, 1);
    const { status, body } = await look(two, '/health/can-stop?node=node2:9000');
    assert.deepEqual([status, body], [412, { node: 'node2-9000', canStop: false, setsThatCouldNotWrite: [1] }]);
  });
});

test('only GET is a question of health; what else is asked there is for the gate', () => {
  for (const url of ['/health/live', '/health/ready', '/health/can-stop?node=node1:9000', '/metrics']) {
    for (const method of ['HEAD', 'PUT', 'POST', 'DELETE']) {
      assert.equal(ask(adminParts({}), { method, url }), undefined, `${method} ${url}`);
    }
  }
  for (const url of [
    '/',
    '/health',
    '/health/',
    '/health/live/',
    '/healthy/live',
    '/metrics/x',
    '/muster/admin',
    '/muster/admin/v1',
  ]) {
    assert.equal(ask(adminParts({}), { url }), undefined, url);
  }
});
