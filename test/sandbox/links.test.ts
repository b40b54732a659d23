import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Links, type Fault } from '../../sandbox/links.ts';

const host = '127.0.0.1';
const open: { close(): unknown }[] = [];
after(async () => {
  for (const thing of open) await thing.close();
});

async function serverAt(onSocket: (socket: Socket) => void): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    onSocket(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  open.push({ close: () => [...sockets].forEach((s) => s.destroy()) }, server);
  return server;
}

/** hangzhou -> beijing, where `onSocket` is what listens at beijing. */
async function world(onSocket: (socket: Socket) => void) {
  const server = await serverAt(onSocket);
  const links = new Links([{ name: 'hangzhou-beijing', ends: ['hangzhou', 'beijing'] }]);
  open.push(links);
  const target = { host, port: (server.address() as AddressInfo).port };
  const at = await links.relay({ from: 'hangzhou', to: 'beijing', listen: { host, port: 0 }, target });
  const set = (fault: Fault, from?: 'hangzhou' | 'beijing') =>
    links.set('hangzhou-beijing', fault, from && { from, to: from === 'hangzhou' ? 'beijing' : 'hangzhou' });
  return { links, at, set };
}

const echo = (socket: Socket) => void socket.pipe(socket);

async function dial(at: { host: string; port: number }): Promise<Socket> {
  const socket = connect({ ...at, noDelay: true });
  socket.on('error', () => {});
  open.push({ close: () => socket.destroy() });
  await once(socket, 'connect');
  return socket;
}

async function answer(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  return chunk.toString();
}

/** What a socket meets within the time: data, its end, an error, or silence. */
async function meets(socket: Socket, withinMs: number): Promise<string> {
  return Promise.race([
    once(socket, 'data').then(([chunk]) => `data ${String(chunk)}`),
    once(socket, 'end').then(() => 'end'),
    new Promise<string>((resolve) => socket.once('error', (err: NodeJS.ErrnoException) => resolve(String(err.code)))),
    sleep(withinMs, 'silence', { ref: false }),
  ]);
}

test('a clear link carries data both ways and half-closes', async () => {
  const { at, links } = await world(echo);
  const socket = await dial(at);
  assert.equal(await answer(socket, 'hello'), 'hello');
  socket.end('bye');
  assert.equal(await meets(socket, 5000), 'data bye');
  assert.equal(await meets(socket, 5000), 'end');
  assert.deepEqual(
    links.state('hangzhou-beijing').directions.map((d) => [d.from, d.to, d.bytes]),
    [
      ['hangzhou', 'beijing', 8],
      ['beijing', 'hangzhou', 8],
    ],
  );
});

for (const { fault, live, fresh } of [
  { fault: { kind: 'cut' }, live: 'end', fresh: 'end' },
  { fault: { kind: 'reset' }, live: 'ECONNRESET', fresh: 'ECONNRESET' },
  { fault: { kind: 'black-hole' }, live: 'silence', fresh: 'silence' },
] as const) {
  for (const from of [undefined, 'hangzhou', 'beijing'] as const) {
    test(`${fault.kind} ${from === undefined ? 'both ways' : `from ${from}`}: a live connection meets ${live}, a new one ${fresh}`, async () => {
      const { at, set } = await world(echo);
      const old = await dial(at);
      assert.equal(await answer(old, 'before'), 'before');
      const oldMeets = meets(old, live === 'silence' ? 300 : 10_000);
      set(fault, from);
      old.write('lost?');
      assert.equal(await oldMeets, live);
      const socket = connect({ ...at });
      const freshMeets = meets(socket, fresh === 'silence' ? 300 : 10_000);
      socket.write('anybody?');
      assert.equal(await freshMeets, fresh);
      set({ kind: 'clear' });
      socket.destroy();
      assert.equal(await answer(await dial(at), 'again'), 'again');
    });
  }
}

test('what was said into a black hole arrives when it is cleared, on live and on new connections', async () => {
  const { at, set } = await world(echo);
  const old = await dial(at);
  set({ kind: 'black-hole' });
  const fresh = await dial(at);
  old.write('one');
  fresh.write('two');
  assert.equal(await meets(old, 100), 'silence');
  set({ kind: 'clear' });
  assert.deepEqual(await Promise.all([meets(old, 5000), meets(fresh, 5000)]), ['data one', 'data two']);
});

test('a black hole from beijing only: what hangzhou says still arrives', async () => {
  const heard: string[] = [];
  const { at, set } = await world((socket) => {
    socket.on('data', (chunk) => heard.push(String(chunk)));
    socket.pipe(socket);
  });
  const socket = await dial(at);
  assert.equal(await answer(socket, 'a'), 'a');
  set({ kind: 'black-hole' }, 'beijing');
  socket.write('b');
  assert.equal(await meets(socket, 200), 'silence');
  while (heard.length < 2) await sleep(5);
  assert.deepEqual(heard, ['a', 'b']);
});

test('the death of a peer does not get through a black hole', async () => {
  const peers: Socket[] = [];
  const { at, set, links } = await world((socket) => {
    peers.push(socket);
    socket.pipe(socket);
  });
  const socket = await dial(at);
  assert.equal(await answer(socket, 'a'), 'a');
  set({ kind: 'black-hole' });
  for (const peer of peers) peer.resetAndDestroy();
  assert.equal(await meets(socket, 200), 'silence');
  links.resetConnections('hangzhou-beijing');
  assert.equal(await meets(socket, 5000), 'ECONNRESET');
});

test('delay: 200 ms each way, in order, and a stream keeps its throughput', async () => {
  const total = 8 * 1024 * 1024;
  const sent = createHash('sha256');
  const got = createHash('sha256');
  let received = 0;
  let doneAtMs = 0;
  const { at, set } = await world((socket) => {
    socket.on('data', (chunk) => {
      if (received === 0 && chunk.length < 10) return void socket.write(chunk);
      received += chunk.length;
      got.update(chunk);
      if (received === total) doneAtMs = performance.now();
    });
  });
  set({ kind: 'delay', ms: 200 });
  const socket = await dial(at);
  const startedAtMs = performance.now();
  await answer(socket, 'ping');
  assert.ok(performance.now() - startedAtMs >= 399, 'a round trip takes both delays');
  const streamAtMs = performance.now();
  for (let i = 0; i < total; i += 65536) {
    const chunk = Buffer.alloc(65536, i / 65536);
    sent.update(chunk);
    if (!socket.write(chunk)) await once(socket, 'drain');
  }
  while (doneAtMs === 0) await sleep(5);
  assert.equal(got.digest('hex'), sent.digest('hex'));
  assert.ok(doneAtMs - streamAtMs >= 199, 'nothing arrives early');
  // One chunk per delay would take 128 x 200 ms.
  assert.ok(doneAtMs - streamAtMs < 5000, `a stream is not slowed down: ${doneAtMs - streamAtMs} ms`);
});

test('a delay holds back the end of a stream as well, and clearing it delivers at once, in order', async () => {
  const { at, set } = await world((socket) => socket.end('last words'));
  set({ kind: 'delay', ms: 60_000 });
  const socket = await dial(at);
  assert.equal(await meets(socket, 200), 'silence');
  set({ kind: 'clear' });
  assert.equal(await meets(socket, 5000), 'data last words');
  assert.equal(await meets(socket, 5000), 'end');
});

test('bandwidth is shared by all connections of a direction, and clearing it lifts it', async () => {
  let received = 0;
  const { at, set } = await world((socket) => socket.on('data', (chunk: Buffer) => (received += chunk.length)));
  set({ kind: 'bandwidth', bytesPerSecond: 100_000 }, 'hangzhou');
  const startedAtMs = performance.now();
  const sockets = await Promise.all([dial(at), dial(at)]);
  for (const socket of sockets) socket.write(Buffer.alloc(1_000_000));
  while (received < 60_000) await sleep(5);
  const rate = received / ((performance.now() - startedAtMs) / 1000);
  assert.ok(rate <= 110_000, `${rate} bytes per second`);
  set({ kind: 'clear' });
  while (received < 2_000_000) await sleep(5);
});

test('a reader that stops holds the writer back: nothing piles up in the relay', async () => {
  const { at, set } = await world((socket) => socket.pause());
  set({ kind: 'delay', ms: 1 });
  const socket = await dial(at);
  let accepted = 0;
  const chunk = Buffer.alloc(1024 * 1024);
  for (;;) {
    const taken = await Promise.race([
      new Promise<boolean>((resolve) => socket.write(chunk, () => resolve(true))),
      sleep(500, false, { ref: false }),
    ]);
    if (!taken) break;
    accepted += 1;
    assert.ok(accepted < 200, 'the relay swallowed 200 MB');
  }
  assert.ok(accepted > 0);
});

test('a target that refuses resets the caller; an unknown link or place is named', async () => {
  const links = new Links([{ name: 'a-b', ends: ['a', 'b'] }]);
  open.push(links);
  const gone = await serverAt(() => {});
  const target = { host, port: (gone.address() as AddressInfo).port };
  await new Promise((resolve) => gone.close(resolve));
  const at = await links.relay({ from: 'b', to: 'a', listen: { host, port: 0 }, target });
  assert.equal(await meets(connect(at), 5000), 'ECONNRESET');
  assert.throws(() => links.set('a-c', { kind: 'cut' }), { code: 'CONFIG_INVALID', message: 'no link is called a-c' });
  assert.throws(() => links.set('a-b', { kind: 'cut' }, { from: 'c', to: 'a' }), { code: 'CONFIG_INVALID' });
  assert.deepEqual(links.at('a'), ['a-b']);
});
