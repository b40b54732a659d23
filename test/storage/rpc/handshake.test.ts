import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import { frameKind, headerBytes, writeHeader } from '../../../storage-node/rpc/frame.ts';
import {
  HandshakeError,
  judgeHello,
  protocolVersions,
  readHello,
  writeHello,
} from '../../../storage-node/rpc/handshake.ts';
import { remoteDrive } from '../../../storage-node/rpc/remote-drive.ts';
import { WireWriter } from '../../../storage-node/rpc/wire.ts';
import { eventually } from '../../support/eventually.ts';
import { seeded } from '../support/memory-set.ts';
import { loopback, realClock } from './loopback.ts';
import { gate, scriptedDrive } from './scripted-drive.ts';

const { oldest, newest } = protocolVersions;
const hello = { clusterId: 'c', nodeId: '1', oldest, newest };
const our = { clusterId: 'c', certified: undefined, expected: undefined };

describe('a hello is judged', () => {
  const cases = [
    {
      name: 'a newer peer is told that this node is the older',
      hello: { ...hello, oldest: newest + 1, newest: newest + 2 },
      our,
      error: /newer one, update this node/,
    },
    {
      name: 'an older peer is told that it is the older',
      hello: { ...hello, oldest: 0, newest: oldest - 1 },
      our,
      error: /older one, update the peer/,
    },
    {
      name: 'another cluster',
      hello: { ...hello, clusterId: 'd' },
      our,
      error: /belongs to cluster d, this node to c/,
    },
    {
      name: 'another node than was dialled',
      hello,
      our: { ...our, expected: '2' },
      error: /node 1 answers where node 2/,
    },
    {
      name: 'a node id that is not the certificate’s',
      hello,
      our: { ...our, certified: { clusterId: 'c', nodeId: '3' } },
      error: /certificate is that of node 3/,
    },
    {
      name: 'a cluster that is not the certificate’s',
      hello,
      our: { ...our, certified: { clusterId: 'd', nodeId: '1' } },
      error: /of cluster d/,
    },
  ];
  for (const { name, hello: said, our: known, error } of cases) {
    test(name, () =>
      assert.throws(
        () => judgeHello(said, known),
        (thrown) => thrown instanceof HandshakeError && error.test(thrown.message),
      ),
    );
  }
  test('the newest version both speak is spoken', () => {
    const known = { ...our, certified: { clusterId: 'c', nodeId: '1' }, expected: '1' };
    assert.equal(judgeHello({ ...hello, newest: newest + 5 }, known), newest);
    assert.equal(judgeHello(hello, known), newest);
  });
  test('fields a newer protocol added to the end do no harm, and no hello at all is said to be none', () => {
    const writer = new WireWriter();
    writeHello(writer, { clusterId: 'c', nodeId: '1' });
    writer.text('something new');
    assert.deepEqual(readHello(writer.buffer.subarray(0, writer.at)), hello);
    assert.throws(() => readHello(Buffer.from('hello')), HandshakeError);
    assert.throws(() => readHello(Buffer.alloc(0)), HandshakeError);
  });
});

function frame(kind: number, write: (writer: WireWriter) => void, method = 0): Buffer {
  const writer = new WireWriter();
  write(writer);
  const header = Buffer.alloc(headerBytes);
  const address = { stream: 1, kind, flags: 0, method, drive: 0 };
  writeHeader(header, 0, { ...address, bodyBytes: writer.at, tailBytes: 0 });
  return Buffer.concat([header, writer.buffer.subarray(0, writer.at)]);
}
const goodHello = frame(frameKind.hello, (writer) => writeHello(writer, { clusterId: 'test-cluster', nodeId: '0' }));
const badHello = frame(frameKind.hello, (writer) => writeHello(writer, { clusterId: 'another', nodeId: '0' }));
const readCall = frame(
  frameKind.call,
  (writer) => {
    writer.bytes(Buffer.from('key'));
    writer.boolean(false);
  },
  1,
);

/** Sends bytes and answers everything that came until the other side closed. */
async function exchange(port: number, bytes: Buffer): Promise<string> {
  const { promise, open } = gate();
  const came: Buffer[] = [];
  const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
  socket.on('data', (chunk) => came.push(chunk));
  socket.on('error', () => {});
  socket.on('close', () => open());
  await promise;
  return Buffer.concat(came).toString('latin1');
}

describe('before the handshake nothing is served', () => {
  const cases = [
    { name: 'a call without a hello', bytes: readCall },
    { name: 'a hello of another cluster, and a call', bytes: Buffer.concat([badHello, readCall]) },
    { name: 'a request of HTTP', bytes: Buffer.from('GET /bucket/key HTTP/1.1\r\nHost: localhost\r\n\r\n') },
    { name: 'a hello that is too long', bytes: frame(frameKind.hello, (writer) => writer.text('x'.repeat(5_000))) },
    { name: 'a second hello', bytes: Buffer.concat([goodHello, goodHello]) },
    {
      name: 'a frame only the dialled side sends',
      bytes: Buffer.concat([goodHello, frame(frameKind.credit, () => {})]),
    },
  ];
  for (const { name, bytes } of cases) {
    test(`${name}: the connection ends, and why is told to the log`, async () => {
      let reads = 0;
      const drive = scriptedDrive({
        read() {
          reads++;
          return Promise.reject(new Error('not to be asked'));
        },
      });
      await using nodes = await loopback({ drives: { 0: drive } });
      await exchange(nodes.port, bytes);
      await eventually('it was noted', () => nodes.refused.length === 1);
      assert.equal(reads, 0);
      assert.equal(nodes.server.connections, 0);
    });
  }

  test('a peer of another cluster is told why', async () => {
    await using nodes = await loopback();
    assert.match(await exchange(nodes.port, badHello), /belongs to cluster another, this node to test-cluster/);
  });

  test('a peer that says nothing is not waited for', async () => {
    const quick = {
      ...realClock,
      setTimer: (delayMs: number, run: () => void) => realClock.setTimer(delayMs / 100, run),
    };
    await using nodes = await loopback({ server: { clock: quick } });
    await exchange(nodes.port, Buffer.alloc(0));
    assert.match(nodes.refused[0] ?? '', /did not say who it is/);
  });
});

describe('the dialling side', () => {
  test('learns from the other node why it was turned away', async () => {
    await using nodes = await loopback({ peer: { name: { clusterId: 'another', nodeId: '0' } } });
    await assert.rejects(nodes.peer.connect(), /node 1 refuses: the peer belongs to cluster another/);
    assert.match(nodes.peer.health.reason ?? '', /belongs to cluster another/);
  });
  test('does not speak to another node than it dialled', async () => {
    await using nodes = await loopback({ server: { name: { clusterId: 'test-cluster', nodeId: '7' } } });
    await assert.rejects(nodes.peer.connect(), /node 7 answers where node 1 was expected/);
  });
  test('does not take a server of HTTP for a node', async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    await using nodes = await loopback({ dialPort: () => Promise.resolve(port) });
    await assert.rejects(nodes.peer.connect(), /not a frame|a frame's body|a tail of/);
    server.close();
  });
});

describe('without TLS', () => {
  test('a node listens on loopback only', async () => {
    const nodes = await loopback();
    await using _closed = nodes;
    await assert.rejects(nodes.server.listen('0.0.0.0', 0), HandshakeError);
    await assert.rejects(nodes.server.listen('::', 0), HandshakeError);
  });
  test('a node dials loopback only', async () => {
    await using nodes = await loopback({ peer: { to: { nodeId: '1', host: '192.0.2.1', port: 9 } } });
    await assert.rejects(nodes.peer.connect(), /no connection without TLS but on loopback, and 192\.0\.2\.1 is not/);
  });
});

test('whatever a peer sends after its hello, the node answers others and holds nothing', async () => {
  const seed = Number(process.env['SEED'] ?? 1);
  const random = seeded(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const drive = scriptedDrive({
    read: (request) =>
      Promise.resolve({
        ballot: 1,
        decided: true,
        tombstone: false,
        hidden: false,
        state: request.key,
        older: [],
        head: undefined,
      }),
  });
  await using nodes = await loopback({ drives: { 0: drive } });
  const { api } = remoteDrive(nodes.peer, 0);
  for (let round = 0; round < 150; round++) {
    const pieces = Array.from({ length: 1 + below(6) }, () => {
      const kind = below(10) === 0 ? below(256) : 1 + below(12);
      const method = below(4) === 0 ? below(256) : below(24);
      const body = Buffer.from(Array.from({ length: below(60) }, () => below(256)));
      const tail = kind === frameKind.block ? below(300) : 0;
      const header = Buffer.alloc(headerBytes);
      const address = { stream: below(4), kind, flags: below(8) === 0 ? 1 : 0, method, drive: below(2) };
      writeHeader(header, 0, { ...address, bodyBytes: body.length, tailBytes: tail });
      return Buffer.concat([header, body, Buffer.alloc(tail, 1)]);
    });
    const bytes = Buffer.concat([goodHello, ...pieces]);
    for (let flips = below(3); flips > 0; flips--) {
      const at = goodHello.length + below(bytes.length - goodHello.length);
      bytes[at] = bytes[at]! ^ (1 << below(8));
    }
    await new Promise<void>((resolve) => {
      const socket = net.connect(nodes.port, '127.0.0.1', () => socket.end(bytes));
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.resume();
    });
    const reply = await api.read({ key: Buffer.from(`round ${round}`), withHead: false });
    assert.equal(Buffer.from(reply.state).toString(), `round ${round}`, `seed ${seed}`);
  }
  await eventually('nothing is held', () => nodes.serverMemory.inUse === 0 && nodes.server.connections === 1);
});
