import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { placeAddresses, sites } from '../../sandbox/addresses.ts';
import { freePort, returnPort, tryPort } from '../../sandbox/ports.ts';

const host = '127.0.0.1';

async function taken(): Promise<{ port: number; close(): void }> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

test('a default port that is taken gives the next free one, and no port is given out twice', async () => {
  const server = await taken();
  const [first, second] = await Promise.all([freePort(host, server.port), freePort(host, server.port)]);
  assert.ok(first > server.port && second > server.port);
  assert.notEqual(first, second);
  server.close();
});

test('a default port that is free is the one, given out once until it is returned', async () => {
  const server = await taken();
  server.close();
  assert.equal(await freePort(host, server.port), server.port);
  assert.notEqual(await freePort(host, server.port), server.port);
  returnPort(host, server.port);
  assert.equal(await freePort(host, server.port), server.port);
});

test('port 0 is for any, never the same twice, and none that an outgoing connection could have taken', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePort(host, 0)));
  assert.equal(new Set(ports).size, 20);
  assert.ok(ports.every((port) => port >= 20_000 && port < 32_000));
});

test('an address this machine does not have is told from a taken port', async () => {
  const server = await taken();
  assert.equal(await tryPort(host, server.port), 'taken');
  assert.equal(await tryPort('192.0.2.1', 0), 'no-address');
  server.close();
});

test('every place has an address that can be listened on: all different, or all the same', async () => {
  const addresses = await placeAddresses();
  const distinct = new Set([addresses.control, ...sites.map((site) => addresses[site])]);
  assert.ok(distinct.size === 3 || distinct.size === 1);
  for (const address of distinct) assert.equal(typeof (await tryPort(address, 0)), 'number');
});
