import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { StorageError } from '../../../../storage-node/errors.ts';
import { type ClusterLayer } from '../../../../storage-node/object/cluster-layer.ts';
import { type ByteTarget, type OpenObject } from '../../../../storage-node/object/model.ts';
import { type Front, startFront } from './front.ts';

const body = Buffer.alloc(8 * 1024 * 1024, 'stream');

/** A layer whose opened objects are watched, or send as `send` says. */
function watched(state: { opened: number; closed: number }, send?: OpenObject['send']) {
  return (layer: ClusterLayer): ClusterLayer => ({
    ...layer,
    async open(...input) {
      const object = await layer.open(...input);
      state.opened += 1;
      return {
        ...object,
        ...(send && { send }),
        close() {
          state.closed += 1;
          object.close();
        },
      };
    },
  });
}

async function withObject(front: Front): Promise<void> {
  await front.send('PUT', '/stream');
  await front.send('PUT', '/stream/k', { body: body.toString() });
}

async function ask(front: Front, method = 'GET'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(front.endpoint).port) });
  await once(socket, 'connect');
  socket.write(await front.lines(method, '/stream/k'));
  return socket;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a client that goes away in the middle ends the reading, and the object is closed', async () => {
  const state = { opened: 0, closed: 0 };
  await using front = await startFront({ layer: watched(state) });
  await withObject(front);
  const socket = await ask(front);
  await once(socket, 'data');
  socket.destroy();
  await until(() => state.closed === 1);
  assert.deepEqual(front.faults, []);
  assert.equal((await front.send('GET', '/stream/k')).status, 200);
});

test('a client that does not read holds up nobody else on the same key', async () => {
  const state = { opened: 0, closed: 0 };
  await using front = await startFront({ layer: watched(state) });
  await withObject(front);
  const stalled = await ask(front);
  stalled.pause();
  await until(() => state.opened === 1);
  assert.equal((await front.send('PUT', '/stream/k', { body: 'new' })).status, 200);
  assert.equal(await (await front.send('GET', '/stream/k')).text(), 'new');
  stalled.destroy();
});

const broken = new StorageError('Corrupt', 'a stripe cannot be read');

test('what fails before the first byte is an error the client can read', async () => {
  const state = { opened: 0, closed: 0 };
  await using front = await startFront({ layer: watched(state, () => Promise.reject(broken)) });
  await withObject(front);
  const answer = await front.send('GET', '/stream/k');
  assert.equal(answer.status, 500);
  assert.match(await answer.text(), /<Code>InternalError</);
  assert.equal(state.closed, 1);
});

const failing: [string, OpenObject['send']][] = [
  [
    'what fails after the first byte breaks the connection off',
    async (_first, _last, target: ByteTarget) => {
      target.write(Buffer.from('half'), () => {});
      throw broken;
    },
  ],
  [
    'an answer that would be too short breaks the connection off',
    async (_first, _last, target: ByteTarget) => {
      target.write(Buffer.from('half'), () => {});
    },
  ],
];
for (const [name, send] of failing) {
  test(name, async () => {
    const state = { opened: 0, closed: 0 };
    await using front = await startFront({ layer: watched(state, send) });
    await withObject(front);
    await assert.rejects(front.send('GET', '/stream/k'), /aborted|hang up|ECONNRESET/);
    assert.equal(front.faults.length, 1);
    assert.equal(state.closed, 1);
  });
}

test('memory is given back for every chunk, also when the client goes away', async () => {
  const state = { opened: 0, closed: 0 };
  const counts = { given: 0, back: 0 };
  const send: OpenObject['send'] = async (_first, _last, target) => {
    while (!target.closed && counts.given < 64) {
      counts.given += 1;
      if (!target.write(Buffer.alloc(128 * 1024), () => (counts.back += 1))) await target.drained();
    }
  };
  await using front = await startFront({ layer: watched(state, send) });
  await withObject(front);
  await front.send('GET', '/stream/k');
  await until(() => counts.back === 64 && counts.given === 64);
  counts.given = 0;
  counts.back = 0;
  const socket = await ask(front);
  await once(socket, 'data');
  socket.destroy();
  await until(() => state.closed === 2 && counts.back === counts.given);
});

test('HEAD says the length and sends nothing', async () => {
  await using front = await startFront();
  await withObject(front);
  const socket = await ask(front, 'HEAD');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const text = (): string => Buffer.concat(chunks).toString();
  await until(() => text().includes('\r\n\r\n'));
  socket.end();
  await once(socket, 'close');
  assert.match(text(), new RegExp(`content-length: ${body.length}\r\n`, 'i'));
  assert.ok(text().endsWith('\r\n\r\n'));
});
