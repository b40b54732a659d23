import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { clientCiphers, writeWithoutCopies } from '../../../storage-node/http/tls-writing.ts';
import { createClusterCa, issueNodeCertificate } from '../../../storage-node/rpc/certs.ts';

const ca = createClusterCa({ clusterId: 'writing', days: 1 });
const hosts = ['127.0.0.1'];
const node = issueNodeCertificate({ ca, clusterId: 'writing', nodeId: 'node', hosts, days: 1 });

type Piece = string | Buffer;
const bytesOf = (piece: Piece): Buffer => (typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);

interface Seen {
  received: Buffer;
  /** Pieces in the order in which they were said to be written. */
  written: number[];
  /** Calls of Node's own way of writing several pieces, which copies them. */
  copied: number;
}

/** Writes pieces together, as an answer over TLS does, and reads them as a client. */
async function send(pieces: readonly Piece[]): Promise<Seen> {
  const written: number[] = [];
  let copied = 0;
  const server = tls.createServer({ cert: node.certificate, key: node.key, ciphers: clientCiphers }, (socket) => {
    const together = socket._writev!.bind(socket);
    socket._writev = (...asked) => {
      copied += 1;
      together(...asked);
    };
    writeWithoutCopies(socket);
    socket.cork();
    pieces.forEach((piece, i) => {
      const done = (): unknown => written.push(i);
      if (typeof piece === 'string') socket.write(piece, 'latin1', done);
      else socket.write(piece, done);
    });
    socket.uncork();
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const client = tls.connect({ port, host: '127.0.0.1', ca: ca.certificate });
    const received: Buffer[] = [];
    client.on('data', (chunk: Buffer) => received.push(chunk));
    await once(client, 'end');
    client.destroy();
    return { received: Buffer.concat(received), written, copied };
  } finally {
    server.close();
  }
}

for (const { name, pieces, copied } of [
  { name: 'a head and a small body are written together', pieces: ['head', randomBytes(4_096)], copied: 1 },
  { name: 'a head and a long body are not copied', pieces: ['head', randomBytes(600_000)], copied: 0 },
  {
    name: 'long pieces, short ones and texts stay in order',
    pieces: ['\xe9', randomBytes(524_288), 'between', randomBytes(1), randomBytes(3_000_000), 'end'],
    copied: 0,
  },
]) {
  test(`over TLS, ${name}`, async () => {
    const seen = await send(pieces);
    assert.ok(seen.received.equals(Buffer.concat(pieces.map(bytesOf))));
    assert.deepEqual(seen.written, [...pieces.keys()]);
    assert.equal(seen.copied, copied);
  });
}
