import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import tls from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { type CertifiedKey, createClusterCa, issueNodeCertificate } from '../../../storage-node/rpc/certs.ts';
import {
  fixedIdentity,
  type IdentitySource,
  type NodeIdentity,
  type Security,
} from '../../../storage-node/rpc/identity.ts';
import { remoteDrive } from '../../../storage-node/rpc/remote-drive.ts';
import { readsAcceptedDirectly } from '../../../storage-node/rpc/socket-reading.ts';
import { eventually } from '../../support/eventually.ts';
import { type Loopback, loopback } from './loopback.ts';
import { scriptedDrive, stageWriter } from './scripted-drive.ts';

const clusterId = 'test-cluster';
const dayMs = 24 * 3600 * 1000;
const ca = createClusterCa({ clusterId, days: 10 });
const foreignCa = createClusterCa({ clusterId, days: 10 });
const otherCa = createClusterCa({ clusterId: 'other', days: 10 });

interface Make {
  nodeId: string;
  by?: CertifiedKey;
  cluster?: string;
  nowMs?: number;
  authorities?: readonly CertifiedKey[];
}
function identityOf({
  nodeId,
  by = ca,
  cluster = clusterId,
  nowMs = Date.now(),
  authorities = [ca],
}: Make): NodeIdentity {
  const node = issueNodeCertificate({ ca: by, clusterId: cluster, nodeId, hosts: ['127.0.0.1'], days: 1, nowMs });
  return {
    name: { clusterId: cluster, nodeId },
    authorities: authorities.map(({ certificate }) => certificate),
    ...node,
    expiresAtMs: new X509Certificate(node.certificate).validToDate.getTime(),
  };
}
const secured = (identity: NodeIdentity): Security => ({ kind: 'tls', identity: fixedIdentity(identity) });
const serverSecurity = secured(identityOf({ nodeId: '1' }));
const clientSecurity = secured(identityOf({ nodeId: '0' }));
const register = {
  ballot: 1,
  decided: true,
  tombstone: false,
  hidden: false,
  state: Buffer.from('s'),
  older: [],
  head: undefined,
};
const key = Buffer.from('key');
const dataId = Buffer.alloc(16, 1);

test('this Node lets accepted sockets be read without a copy', () => {
  assert.equal(readsAcceptedDirectly, true);
});

describe('over TLS', () => {
  const payload = Buffer.alloc(512 * 1024, 'block');
  const staged: Buffer[] = [];
  const drive = scriptedDrive({
    read: () => Promise.resolve(register),
    readBlocks: ({ count }) => {
      const blocks = Array.from({ length: count }, (_, index) => ({ index, payload, checksum: 1n }));
      return Promise.resolve({ kind: 'blocks', shard: 0, blocks, release() {} });
    },
    stage: () =>
      stageWriter({
        write({ payload: bytes }, release) {
          staged.push(Buffer.from(bytes));
          release();
        },
      }),
  });
  let nodes: Loopback;
  before(async () => {
    nodes = await loopback({ drives: { 0: drive }, serverSecurity, clientSecurity });
  });
  after(() => nodes[Symbol.asyncDispose]());

  test('calls, stages and blocks pass as they do without', async () => {
    const { api } = remoteDrive(nodes.peer, 0);
    await Promise.all(Array.from({ length: 500 }, () => api.read({ key, withHead: false })));
    const stage = api.stage({ dataId, shard: 0, expectedBytes: undefined });
    for (let index = 0; index < 12; index++) stage.write({ index, payload, checksum: 1n }, () => {});
    const blocks = api.readBlocks({ dataId, first: 0, count: 8 });
    await stage.finish();
    assert.equal(staged.length, 12);
    assert.ok(staged.every((bytes) => bytes.equals(payload)));
    const reply = await blocks;
    assert.ok(reply.kind === 'blocks' && reply.blocks.every((block) => payload.equals(block.payload)));
    reply.release();
    await eventually('all memory is back', () => nodes.serverMemory.inUse + nodes.clientMemory.inUse === 0);
  });

  test('the protocol is TLS 1.3 with AES-128 first', () => {
    const socket = nodes.peer.calls.openLink?.connection.socket;
    assert.ok(socket instanceof tls.TLSSocket);
    assert.equal(socket.getProtocol(), 'TLSv1.3');
    assert.equal(socket.getCipher().name, 'TLS_AES_128_GCM_SHA256');
  });

  test('TLS 1.2 is refused', async () => {
    const { certificate, key: privateKey } = identityOf({ nodeId: '0' });
    const socket = tls.connect({
      host: '127.0.0.1',
      port: nodes.port,
      cert: certificate,
      key: privateKey,
      ca: ca.certificate,
      maxVersion: 'TLSv1.2',
      checkServerIdentity: () => undefined,
    });
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
    assert.match(error.message, /version/i);
  });
});

describe('a peer that cannot prove who it is gets nowhere', () => {
  const expired = Date.now() - 3 * dayMs;
  const cases: { name: string; client?: Security; server?: Security; peer?: object; error: RegExp; noted?: RegExp }[] =
    [
      {
        name: 'the caller’s certificate has expired',
        client: secured(identityOf({ nodeId: '0', nowMs: expired })),
        error: /expired|in the handshake; its log says why|reset/,
        noted: /CERT_HAS_EXPIRED/,
      },
      {
        name: 'the caller’s certificate is not valid yet',
        client: secured(identityOf({ nodeId: '0', nowMs: Date.now() + dayMs })),
        error: /./,
      },
      {
        name: 'the called node’s certificate has expired',
        server: secured(identityOf({ nodeId: '1', nowMs: expired })),
        error: /expired/,
      },
      {
        name: 'the caller’s is of an authority nobody here believes',
        client: secured(identityOf({ nodeId: '0', by: foreignCa })),
        error: /./,
      },
      {
        name: 'the called node’s is of an authority the caller does not believe',
        server: secured(identityOf({ nodeId: '1', by: foreignCa })),
        error: /./,
      },
      {
        name: 'the caller’s is of another cluster',
        client: secured(identityOf({ nodeId: '0', by: otherCa, cluster: 'other', authorities: [ca, otherCa] })),
        peer: { name: { clusterId, nodeId: '0' } },
        error: /./,
      },
      {
        name: 'the caller says it is another node than its certificate',
        peer: { name: { clusterId, nodeId: '3' } },
        error: /says it is node 3, its certificate is that of node 0/,
      },
      {
        name: 'the called node’s certificate is another node’s',
        server: secured(identityOf({ nodeId: '2' })),
        error: /certificate is that of node 2 of cluster test-cluster, node 1 of cluster test-cluster was expected/,
      },
      { name: 'the caller speaks in the open', client: { kind: 'plain' }, error: /./ },
      { name: 'the called node speaks in the open', server: { kind: 'plain' }, error: /./ },
    ];
  for (const { name, client = clientSecurity, server = serverSecurity, peer = {}, error, noted } of cases) {
    test(name, async () => {
      let reached = 0;
      const drive = scriptedDrive({
        read() {
          reached++;
          return Promise.resolve(register);
        },
      });
      await using nodes = await loopback({
        drives: { 0: drive },
        serverSecurity: server,
        clientSecurity: client,
        peer: { times: { connectMs: 2_000 }, ...peer },
      });
      await assert.rejects(remoteDrive(nodes.peer, 0).api.read({ key, withHead: false }), error);
      assert.equal(reached, 0);
      assert.equal(nodes.peer.health.suspect, true);
      if (noted !== undefined) await eventually('the log says why', () => noted.test(nodes.refused[0] ?? ''));
    });
  }

  test('a caller without any certificate, and one with the credentials of a client, are refused', async () => {
    await using nodes = await loopback({ serverSecurity, clientSecurity });
    const attempts: tls.ConnectionOptions[] = [{}, { ...clientCertificate() }];
    for (const attempt of attempts) {
      const socket = tls.connect({
        host: '127.0.0.1',
        port: nodes.port,
        ca: ca.certificate,
        checkServerIdentity: () => undefined,
        ...attempt,
      });
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      socket.on('error', () => {});
      await closed;
    }
    assert.equal(nodes.server.connections, 0);
    await eventually('it was noted', () => nodes.refused.length === 2);
  });

  test('a certificate of the authority that names no node is refused', async () => {
    await using nodes = await loopback({ serverSecurity, clientSecurity });
    const socket = tls.connect({
      host: '127.0.0.1',
      port: nodes.port,
      ca: ca.certificate,
      cert: ca.certificate,
      key: ca.key,
      checkServerIdentity: () => undefined,
    });
    socket.on('error', () => {});
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
    await eventually('it was noted', () => nodes.refused.length === 1);
    assert.equal(nodes.server.connections, 0);
  });

  test('a peer that stops in the handshake of TLS does not keep the node from ending', async () => {
    const nodes = await loopback({ serverSecurity, clientSecurity });
    const socket = net.connect(nodes.port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    await nodes[Symbol.asyncDispose]();
    socket.destroy();
  });
});

/** What a server for clients would have: a certificate of its own making. */
function clientCertificate(): { cert: string; key: string } {
  const { certificate, key: privateKey } = identityOf({ nodeId: '0', by: foreignCa });
  return { cert: certificate, key: privateKey };
}

describe('certificates change while the nodes talk', () => {
  /** An identity that can be changed. */
  function changing(first: NodeIdentity): { source: IdentitySource; change: (next: NodeIdentity) => void } {
    let current = first;
    const followers = new Set<() => void>();
    return {
      source: {
        current: () => current,
        subscribe(changed) {
          followers.add(changed);
          return () => followers.delete(changed);
        },
      },
      change(next) {
        current = next;
        for (const follower of followers) follower();
      },
    };
  }

  test('through a change of the authority itself, under load, no call fails', async () => {
    const newCa = createClusterCa({ clusterId, days: 10 });
    const server = changing(identityOf({ nodeId: '1' }));
    const client = changing(identityOf({ nodeId: '0' }));
    const pins: string[] = [];
    const drive = scriptedDrive({
      read: () => Promise.resolve(register),
      pin() {
        pins.push('pin');
        return { release: () => pins.push('release') };
      },
    });
    await using nodes = await loopback({
      drives: { 0: drive },
      serverSecurity: { kind: 'tls', identity: server.source },
      clientSecurity: { kind: 'tls', identity: client.source },
    });
    const { api } = remoteDrive(nodes.peer, 0);
    let answered = 0;
    let running = true;
    const load = Array.from({ length: 20 }, async () => {
      while (running) {
        await api.read({ key, withHead: false });
        answered++;
      }
    });
    // A stage that began before the changes ends after them, on the connection it began on.
    const stage = api.stage({ dataId, shard: 0, expectedBytes: undefined });
    await eventually('it runs', () => answered > 100);
    const pin = api.pin([dataId]);
    const links = new Set([nodes.peer.calls.openLink]);
    const both = [ca, newCa];
    const steps = [
      () => server.change(identityOf({ nodeId: '1', authorities: both })),
      () => client.change(identityOf({ nodeId: '0', authorities: both })),
      () => server.change(identityOf({ nodeId: '1', by: newCa, authorities: both })),
      () => client.change(identityOf({ nodeId: '0', by: newCa, authorities: both })),
      () => server.change(identityOf({ nodeId: '1', by: newCa, authorities: [newCa] })),
      () => client.change(identityOf({ nodeId: '0', by: newCa, authorities: [newCa] })),
    ];
    for (const step of steps) {
      const from = answered;
      step();
      await eventually('calls go on', () => answered > from + 100);
    }
    await eventually('another connection is in use', () => !links.has(nodes.peer.calls.openLink));
    stage.write({ index: 0, payload: Buffer.alloc(100), checksum: 0n }, () => {});
    await stage.finish();
    assert.deepEqual(pins, ['pin'], 'a pin outlives the change');
    pin.release();
    running = false;
    await Promise.all(load);
    await eventually('the old connections are gone', () => nodes.server.connections === 2 && pins.length === 2);
    // Who has only the old authority is a stranger now.
    await using stranger = await loopback({ clientSecurity, dialPort: () => Promise.resolve(nodes.port), peer: {} });
    await assert.rejects(stranger.peer.connect());
  });
});
