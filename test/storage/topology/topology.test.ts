import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { setSizes } from '../../../storage-node/erasure/geometry.ts';
import { expand } from '../../../storage-node/topology/expand.ts';
import { parseTopology, rpcPortOffset, type Topology } from '../../../storage-node/topology/topology.ts';
import { refusalOf } from '../config/settings.ts';

/** Names of the drives of each set: `node1/data1 node2/data1`. */
function membersOf({ nodes, sets }: Topology): string[] {
  return sets.map(({ members }) =>
    members.map(({ node, drive }) => `${nodes[node]!.host.split('.')[0]}${nodes[node]!.drives[drive]}`).join(' '),
  );
}

describe('a pattern', () => {
  const rows: { pattern: string; names: string[] }[] = [
    { pattern: '/data', names: ['/data'] },
    { pattern: '/d{1...3}', names: ['/d1', '/d2', '/d3'] },
    { pattern: '/d{0...2}', names: ['/d0', '/d1', '/d2'] },
    { pattern: '/d{7...7}', names: ['/d7'] },
    { pattern: '/d{9...11}', names: ['/d9', '/d10', '/d11'] },
    { pattern: '/d{08...11}', names: ['/d08', '/d09', '/d10', '/d11'] },
    { pattern: '/d{001...2}', names: ['/d001', '/d002'] },
    { pattern: '{1...2}-{1...2}', names: ['1-1', '1-2', '2-1', '2-2'] },
    { pattern: 'a{1...2}b{3...4}c', names: ['a1b3c', 'a1b4c', 'a2b3c', 'a2b4c'] },
  ];
  for (const { pattern, names } of rows) {
    test(`${pattern} is ${names.join(' ')}`, () => assert.deepEqual(expand(pattern), names));
  }

  const refused: { pattern: string; says: RegExp }[] = [
    { pattern: '/d{1..4}', says: /\{1\.\.4\} at character 3/ },
    { pattern: '/d{1....4}', says: /character 3/ },
    { pattern: '/d{a...d}', says: /\{a\.\.\.d\} at character 3/ },
    { pattern: '/d{}', says: /\{\} at character 3/ },
    { pattern: '/d{1...4', says: /\{ at character 3/ },
    { pattern: '/d{1...{2...4}}', says: /character 3/ },
    { pattern: '/d{-1...4}', says: /character 3/ },
    { pattern: '/d{1...1000000000}', says: /character 3/ },
    { pattern: '/d1...4}', says: /\} without its \{ at character 8/ },
    { pattern: '/d{1...4}}', says: /\} without its \{ at character 10/ },
    { pattern: '/n{1...4}/d{1..4}', says: /\{1\.\.4\} at character 12/ },
    { pattern: '/d{4...1}', says: /\{4\.\.\.1\} at character 3 runs backwards/ },
    { pattern: '/d{1...10001}', says: /more than 10000/ },
    { pattern: '/n{1...200}/d{1...200}', says: /more than 10000/ },
    { pattern: '/a{1...999}/b{1...999}/c{1...999}/d{1...999}', says: /more than 10000/ },
  ];
  for (const { pattern, says } of refused) {
    test(`${pattern} is refused with itself and the place in the message`, () => {
      const message = refusalOf(() => expand(pattern));
      assert.ok(message.startsWith(`drives "${pattern}": `), message);
      assert.match(message, says);
    });
  }

  test('any ranges give every combination once, the leftmost slowest', () => {
    const range = fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 5 }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 4 }), (ranges) => {
        const pattern = ranges.map(([first, more]) => `x{${first}...${first + more}}`).join('');
        const combinations = ranges.reduce<number[][]>(
          (all, [first, more]) =>
            all.flatMap((head) => Array.from({ length: more + 1 }, (_, i) => [...head, first + i])),
          [[]],
        );
        assert.deepEqual(
          expand(pattern),
          combinations.map((numbers) => numbers.map((number) => `x${number}`).join('')),
        );
      }),
    );
  });
});

describe('the drives of a cluster', () => {
  test('http://node{1...4}.example.com:9000/data{1...4} are four sets of four, one drive of each node in each', () => {
    const topology = parseTopology(['http://node{1...4}.example.com:9000/data{1...4}']);
    assert.deepEqual(membersOf(topology), [
      'node1/data1 node2/data1 node3/data1 node4/data1',
      'node1/data2 node2/data2 node3/data2 node4/data2',
      'node1/data3 node2/data3 node3/data3 node4/data3',
      'node1/data4 node2/data4 node3/data4 node4/data4',
    ]);
    assert.deepEqual(topology.nodes[2], {
      ...{ index: 2, id: 'node3.example.com-9000', host: 'node3.example.com', port: 9000 },
      drives: ['/data1', '/data2', '/data3', '/data4'],
    });
    assert.equal(topology.singleMachine, false);
  });

  const shapes: { nodes: number; drives: number; sets: number; size: number }[] = [
    { nodes: 4, drives: 1, sets: 1, size: 4 },
    { nodes: 4, drives: 3, sets: 3, size: 4 },
    { nodes: 8, drives: 1, sets: 1, size: 8 },
    { nodes: 8, drives: 4, sets: 4, size: 8 },
    { nodes: 12, drives: 2, sets: 2, size: 12 },
    { nodes: 16, drives: 4, sets: 4, size: 16 },
    { nodes: 20, drives: 1, sets: 5, size: 4 },
    { nodes: 24, drives: 2, sets: 4, size: 12 },
    { nodes: 32, drives: 1, sets: 2, size: 16 },
    { nodes: 40, drives: 1, sets: 5, size: 8 },
    { nodes: 48, drives: 1, sets: 3, size: 16 },
  ];
  for (const { nodes, drives, sets, size } of shapes) {
    test(`${nodes} nodes with ${drives} drives are ${sets} sets of ${size}`, () => {
      const made = parseTopology([`http://node{1...${nodes}}:9000/data{1...${drives}}`]);
      assert.deepEqual([made.sets.length, ...new Set(made.sets.map(({ members }) => members.length))], [sets, size]);
    });
  }

  const local: { drives: number; sets: number; size: number }[] = [
    { drives: 4, sets: 1, size: 4 },
    { drives: 8, sets: 1, size: 8 },
    { drives: 12, sets: 1, size: 12 },
    { drives: 20, sets: 5, size: 4 },
    { drives: 32, sets: 2, size: 16 },
  ];
  for (const { drives, sets, size } of local) {
    test(`${drives} directories of one machine are ${sets} sets of ${size}, and said to be one machine`, () => {
      const made = parseTopology([`/data{1...${drives}}`]);
      assert.deepEqual([made.sets.length, ...new Set(made.sets.map(({ members }) => members.length))], [sets, size]);
      assert.equal(made.singleMachine, true);
      assert.equal(made.nodes.length, 1);
    });
  }

  const sameNames: { name: string; patterns: string[] }[] = [
    { name: 'one by one', patterns: ['http://n1:9000/d', 'http://n2:9000/d', 'http://n3:9000/d', 'http://n4:9000/d'] },
    { name: 'with commas', patterns: ['http://n1:9000/d,http://n2:9000/d,http://n3:9000/d,http://n4:9000/d'] },
    { name: 'with blanks and line ends', patterns: [' http://n1:9000/d  http://n2:9000/d\n http://n{3...4}:9000/d ,'] },
    { name: 'with https', patterns: ['https://n{1...4}:9000/d'] },
  ];
  for (const { name, patterns } of sameNames) {
    test(`may be named ${name}`, () => assert.deepEqual(membersOf(parseTopology(patterns)), ['n1/d n2/d n3/d n4/d']));
  }

  test('may be on one host with many ports', () => {
    const { nodes, sets } = parseTopology(['http://127.0.0.1:{9000...9003}/data']);
    assert.deepEqual(
      nodes.map(({ id }) => id),
      ['127.0.0.1-9000', '127.0.0.1-9001', '127.0.0.1-9002', '127.0.0.1-9003'],
    );
    assert.equal(sets.length, 1);
  });
});

describe('drives that make no cluster are refused', () => {
  const rows: { name: string; drives: string[]; says: string[] }[] = [
    { name: 'none', drives: [' , '], says: ['no drives are named'] },
    {
      name: 'a node named twice',
      drives: ['http://n{1...4}:9000/d http://n2:9000/d'],
      says: ['http://n2:9000/d', 'twice'],
    },
    { name: 'a directory named twice', drives: ['/a /b /c /a'], says: ['/a', 'twice'] },
    {
      name: 'a drive named twice in other letters',
      drives: ['http://n{1...4}:9000/d http://N{1...4}:9000/d'],
      says: ['twice'],
    },
    {
      name: 'a drive named twice by two protocols',
      drives: ['http://n{1...4}:9000/d https://n{1...4}:9000/d'],
      says: ['twice'],
    },
    {
      name: 'a drive named twice with a slash more',
      drives: ['http://n{1...4}:9000/d http://n{1...4}:9000/d/'],
      says: ['twice'],
    },
    { name: 'a directory named twice with a slash more', drives: ['/a /b /c /c/'], says: ['/c/', 'twice'] },
    { name: 'a directory among nodes', drives: ['http://n{1...4}:9000/d /d'], says: ['/d names no node'] },
    {
      name: 'three nodes',
      drives: ['http://n{1...3}:9000/d'],
      says: ['3 nodes with 1 drives', '4, 8, 12 or 16', 'none of these divides 3', '4 nodes would do'],
    },
    {
      name: 'six nodes',
      drives: ['http://n{1...6}:9000/d{1...2}'],
      says: ['6 nodes with 2 drives', 'none of these divides 6', '4 or 8 nodes would do'],
    },
    {
      name: 'seventeen nodes',
      drives: ['http://n{1...17}:9000/d'],
      says: ['none of these divides 17', '16 or 20 nodes would do'],
    },
    {
      name: 'two nodes with two drives',
      drives: ['http://n{1...2}:9000/d{1...2}'],
      says: ['2 nodes with 2 drives', '4 nodes would do'],
    },
    {
      name: 'nodes with unlike numbers of drives',
      drives: ['http://n{1...3}:9000/d{1...2} http://n4:9000/d1'],
      says: ['n1-9000 has 2 drives', 'n4-9000 has 1'],
    },
    { name: 'three directories', drives: ['/d{1...3}'], says: ['3 drives', '4, 8, 12 or 16', '4 can'] },
    { name: 'ten directories', drives: ['/d{1...10}'], says: ['10 drives', '8 or 12 can'] },
    {
      name: 'a name without port',
      drives: ['http://n{1...4}/d'],
      says: ['http://n1/d', 'http://node1.example.com:9000/data1'],
    },
    { name: 'a name without directory', drives: ['http://n{1...4}:9000'], says: ['http://n1:9000 is no drive'] },
    { name: 'another protocol', drives: ['ftp://n{1...4}:9000/d'], says: ['ftp://n1:9000/d is no drive'] },
    { name: 'a relative directory', drives: ['data{1...4}'], says: ['data1 is no drive'] },
    { name: 'port 0', drives: ['http://n{1...4}:0/d'], says: ['http://n1:0/d', '1..64535', 'plus 1000'] },
    {
      name: 'a port whose other is none',
      drives: ['http://n{1...4}:64536/d'],
      says: ['http://n1:64536/d', '1..64535'],
    },
  ];
  for (const { name, drives, says } of rows) {
    test(name, () => {
      const message = refusalOf(() => parseTopology(drives));
      assert.ok(message.startsWith('drives'), message);
      for (const part of says) assert.ok(message.includes(part), message);
    });
  }

  test('the number of nodes that is proposed instead is taken', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), (count) => {
        const message = refusalOf(() => parseTopology([`http://n{1...${count}}:9000/d`]));
        assert.equal(message === 'taken', count % 4 === 0);
        if (message === 'taken') return;
        const proposed = /; (.+) nodes would do/.exec(message)![1]!.split(' or ');
        for (const other of proposed) parseTopology([`http://n{1...${other}}:9000/d`]);
      }),
    );
  });
});

describe('in every cluster', () => {
  const clusters = fc
    .record({
      groups: fc.integer({ min: 1, max: 4 }),
      size: fc.constantFrom(...setSizes),
      perNode: fc.integer({ min: 1, max: 5 }),
    })
    .map(({ groups, size, perNode }) => ({
      nodes: groups * size,
      perNode,
      topology: parseTopology([`http://node{1...${groups * size}}:9000/data{1...${perNode}}`]),
    }));

  test('a set has one drive of each of its nodes, and every drive is in exactly one set', () => {
    fc.assert(
      fc.property(clusters, ({ nodes, perNode, topology }) => {
        const seen: string[] = [];
        for (const { members } of topology.sets) {
          assert.equal(new Set(members.map(({ node }) => node)).size, members.length);
          seen.push(...members.map(({ node, drive }) => `${node}/${drive}`));
        }
        const all = topology.nodes.flatMap(({ index, drives }) => drives.map((_, drive) => `${index}/${drive}`));
        assert.equal(all.length, nodes * perNode);
        assert.deepEqual(seen.sort(), all.sort());
      }),
    );
  });

  test('sets are of the largest size that divides the nodes, all of one size and numbered in order', () => {
    fc.assert(
      fc.property(clusters, ({ nodes, topology }) => {
        const size = [16, 12, 8, 4].find((one) => nodes % one === 0);
        for (const [index, set] of topology.sets.entries()) {
          assert.equal(set.members.length, size);
          assert.equal(set.index, index);
        }
        assert.deepEqual(
          topology.nodes.map(({ index }) => index),
          topology.nodes.map((_, i) => i),
        );
      }),
    );
  });

  test('the same names make the same cluster, however they are written', () => {
    fc.assert(
      fc.property(clusters, ({ topology }) => {
        // Nodes are numbered as they are met, drives as they are met on their node.
        const byNode = topology.nodes.flatMap(({ host, port, drives }) =>
          drives.map((d) => `http://${host}:${port}${d}`),
        );
        assert.deepEqual(parseTopology(byNode), topology);
        assert.deepEqual(parseTopology([byNode.join(',')]), topology);
      }),
    );
  });

  test('no two nodes share an id, and the port for nodes is none of another node on the host', () => {
    const { nodes } = parseTopology([`http://127.0.0.1:{9000...9015}/d`]);
    const ports = nodes.flatMap(({ port }) => [port, port + rpcPortOffset]);
    assert.equal(new Set(ports).size, 32);
    assert.equal(new Set(nodes.map(({ id }) => id)).size, 16);
  });
});
