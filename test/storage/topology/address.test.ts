import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../../storage-node/config.ts';
import { StorageError } from '../../../storage-node/errors.ts';
import { nameForm } from '../../../storage-node/rpc/identity.ts';
import { hostInUrl, nodeIdNamed, nodeIdOf, parseHostPort } from '../../../storage-node/topology/address.ts';
import { parseTopology } from '../../../storage-node/topology/topology.ts';
import { certsDir } from '../config/settings.ts';

const longest = '2001:db8:1111:2222:3333:4444:5555:6666';

describe('a host with its port', () => {
  const rows: { text: string; host: string; port: number; id: string }[] = [
    { text: 'node1:9000', host: 'node1', port: 9000, id: 'node1-9000' },
    { text: 'Node1.example.com:1', host: 'Node1.example.com', port: 1, id: 'node1.example.com-1' },
    { text: '10.0.0.1:9000', host: '10.0.0.1', port: 9000, id: '10.0.0.1-9000' },
    { text: '[::1]:9000', host: '::1', port: 9000, id: '0--1-9000' },
    { text: '[0:0:0:0:0:0:0:1]:09000', host: '::1', port: 9000, id: '0--1-9000' },
    { text: '[2001:DB8::0:5]:9000', host: '2001:db8::5', port: 9000, id: '2001-db8--5-9000' },
    { text: '[2001:db8::]:9000', host: '2001:db8::', port: 9000, id: '2001-db8---9000' },
    { text: '[::ffff:10.0.0.1]:9000', host: '::ffff:a00:1', port: 9000, id: '0--ffff-a00-1-9000' },
    { text: `[${longest}]:64535`, host: longest, port: 64_535, id: `${longest.replaceAll(':', '-')}-64535` },
  ];
  for (const { text, host, port, id } of rows) {
    test(`${text} is ${host} and ${port}, the node ${id}`, () => {
      assert.deepEqual(parseHostPort(text), { host, port });
      assert.equal(nodeIdOf({ host, port }), id);
      assert.match(id, nameForm, 'it can stand in a certificate');
      assert.deepEqual([nodeIdNamed(text), nodeIdNamed(id)], [id, id]);
      assert.deepEqual(parseHostPort(`${hostInUrl(host)}:${port}`), { host, port }, 'a URL leads back to it');
      assert.ok(URL.canParse(`http://${hostInUrl(host)}:${port}`));
    });
  }
  for (const text of [
    'node1',
    'node1:',
    ':9000',
    '::1',
    '[::1]',
    '::1:9000',
    '[::g]:1',
    '[n1]:1',
    '[fe80::1%lo]:1',
    'n1:123456',
  ])
    test(`${text} is none`, () => assert.equal(parseHostPort(text), undefined));
});

describe('drives on nodes with addresses of IPv6', () => {
  test('make a cluster whose hosts sockets take and whose ids stand in certificates', () => {
    const { nodes } = parseTopology(['http://[2001:DB8::{1...4}]:9000/data{1...2}']);
    assert.deepEqual(
      nodes.map(({ host, id, drives }) => [host, id, drives.length]),
      [1, 2, 3, 4].map((n) => [`2001:db8::${n}`, `2001-db8--${n}-9000`, 2]),
    );
  });

  test('are one node however its address is spelled', () => {
    assert.throws(
      () => parseTopology(['http://[::1]:{9000...9003}/d http://[0:0::1]:9001/d']),
      /\[0:0::1\]:9001\/d and http:\/\/\[::1\]:9001\/d are one drive/,
    );
  });

  const refused: { drives: string; says: RegExp }[] = [
    {
      drives: 'http://::1:{9000...9003}/d',
      says: /::1:9000\/d is no drive .*stands in brackets, such as \[2001:db8::1\]:9000/,
    },
    { drives: 'http://[::g]:{9000...9003}/d', says: /in the brackets stands no IPv6 address/ },
    { drives: 'http://[fe80::1%eth0]:{9000...9003}/d', says: /with a zone means another place on every machine/ },
    { drives: 'http://[::1]:{64536...64539}/d', says: /the port must be 1\.\.64535/ },
    { drives: 'http://[::1]/d', says: /is no drive/ },
  ];
  for (const { drives, says } of refused) {
    test(`${drives} is refused with what to do`, () =>
      assert.throws(
        () => parseTopology([drives]),
        (error) => error instanceof StorageError && says.test(error.message),
      ));
  }
});

describe('a node with an address of IPv6', () => {
  const account = { rootUser: 'admin', rootPassword: 'long enough' };
  const drives = 'http://[::1]:{9000...9003}/data';
  const plain = { ...account, drives, plainRpc: 'true' };

  for (const node of ['[::1]:9002', '[0:0::1]:9002', '0--1-9002']) {
    test(`is named by --node ${node}`, () => {
      const { self, bindHost, topology } = loadConfig({ ...plain, node }, {});
      assert.deepEqual([self.port, bindHost, topology.nodes[2]!.host], [9002, '::1', '::1']);
      assert.equal(new URL(`http://${self.host}:${self.port}`).href, 'http://[::1]:9002/');
    });
  }

  test('is not found by its address without brackets, and the brackets are asked for', () => {
    assert.throws(() => loadConfig({ ...plain, node: '::1:9002' }, {}), /none of the nodes: 0--1-9000, .*in brackets/);
  });

  test('that is not a loopback one listens on all addresses of IPv6', () => {
    const one = { ...account, drives: '/data{1...4}' };
    assert.equal(loadConfig(one, {}).bindHost, '127.0.0.1');
    const far = { ...account, drives: 'http://[2001:db8::{1...4}]:9000/d', node: '[2001:db8::1]:9000' };
    assert.equal(loadConfig({ ...far, certsDir: certsDir() }, {}).bindHost, '::');
    assert.throws(() => loadConfig({ ...far, plainRpc: 'true' }, {}), /only where every node has a loopback address/);
  });
});
