import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { History, type ClientStats } from '../../sandbox/clients/history.ts';
import { startClients } from '../../sandbox/clients/start.ts';
import { compareTruth, readTruth, type TruthOutcome, type TruthRow } from '../../sandbox/truth.ts';

const host = '127.0.0.1';
const root = mkdtempSync(join(tmpdir(), 'muster-clients-'));
const open: { close(): unknown }[] = [];
after(async () => {
  for (const thing of open) await thing.close();
  rmSync(root, { recursive: true, force: true });
});

/** An entry that does with each order what it is told. */
async function entryThat(behaviour: (id: string, req: IncomingMessage, res: ServerResponse) => void) {
  const sockets = new Set<unknown>();
  const ids: string[] = [];
  const server = createServer((req, res) => {
    sockets.add(req.socket);
    let text = '';
    req.on('data', (chunk) => (text += chunk));
    req.on('end', () => {
      const { id } = JSON.parse(text) as { id: string };
      ids.push(id);
      behaviour(id, req, res);
    });
  });
  server.listen(0, host);
  await once(server, 'listening');
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  open.push({ close });
  return { url: `http://${host}:${(server.address() as AddressInfo).port}`, sockets, ids, close };
}

let files = 0;
async function clientsOf(entryUrl: string, more: { clients?: number; everyMs?: number; timeoutMs?: number } = {}) {
  const truthFile = join(root, `truth-${(files += 1)}.jsonl`);
  const listen = { host, port: 0 };
  const clients = await startClients({
    entryUrl,
    clients: 4,
    everyMs: 5,
    timeoutMs: 10_000,
    truthFile,
    listen,
    ...more,
  });
  open.push(clients);
  const truth = async () => {
    const rows: TruthRow[] = [];
    for await (const row of readTruth(truthFile)) rows.push(row);
    return rows;
  };
  return { ...clients, truthFile, truth };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    assert.ok(i < 2000, 'it never came to be');
    await sleep(5);
  }
}

test('twenty clients keep one connection each, and every acknowledged order is in the truth with its client and site', async () => {
  const entry = await entryThat((_id, req, res) => {
    assert.match(String(req.headers['x-client-id']), /^client-\d\d$/);
    res.writeHead(201, { 'x-muster-site': 'hangzhou' }).end();
  });
  const clients = await clientsOf(entry.url, { clients: 20 });
  await until(() => clients.stats().acked >= 400);
  const stopped = (await (await request(`${clients.url}/stop`, { method: 'POST' })).body.json()) as ClientStats;
  assert.deepEqual([stopped.running, stopped.clients, stopped.refused, stopped.unknown], [false, 20, 0, 0]);
  const truth = await clients.truth();
  assert.equal(truth.length, stopped.acked);
  assert.deepEqual(truth.map((row) => row.id).sort(), [...entry.ids].sort());
  assert.equal(new Set(truth.map((row) => row.client)).size, 20);
  assert.ok(truth.every((row) => row.outcome === 'acked' && row.site === 'hangzhou' && row.endAtMs >= row.sentAtMs));
  assert.equal(entry.sockets.size, 20);
});

for (const { name, behaviour, outcome, timeoutMs = 10_000 } of [
  {
    name: 'an answer that says refused',
    behaviour: (res) => res.writeHead(503, { 'x-muster-outcome': 'refused' }).end(),
    outcome: 'refused',
  },
  { name: 'a bad request', behaviour: (res) => res.writeHead(400).end(), outcome: 'refused' },
  {
    name: 'an answer that says unknown',
    behaviour: (res) => res.writeHead(500, { 'x-muster-outcome': 'unknown' }).end(),
    outcome: 'unknown',
  },
  { name: 'an error without a word on the order', behaviour: (res) => res.writeHead(503).end(), outcome: 'unknown' },
  { name: 'a broken connection', behaviour: (res) => res.destroy(), outcome: 'unknown' },
  { name: 'no answer in time', behaviour: () => {}, outcome: 'unknown', timeoutMs: 1_000 },
  {
    name: 'half an answer',
    behaviour: (res) => void res.writeHead(201, { 'content-length': '9' }).write('half'),
    outcome: 'unknown',
    timeoutMs: 1_000,
  },
] as { name: string; behaviour: (res: ServerResponse) => void; outcome: TruthOutcome; timeoutMs?: number }[]) {
  test(`${name} is ${outcome}; the client goes on with a new id and sends none twice`, async () => {
    const entry = await entryThat((_id, _req, res) => behaviour(res));
    const clients = await clientsOf(entry.url, { timeoutMs });
    await until(() => clients.stats()[outcome] >= 8);
    const stats = await clients.stop();
    const truth = await clients.truth();
    assert.ok(truth.every((row) => row.outcome === outcome));
    assert.equal(stats[outcome], truth.length);
    assert.equal(new Set(entry.ids).size, entry.ids.length);
    assert.equal(new Set(truth.map((row) => row.id)).size, truth.length);
  });
}

test('an entry that is not there refuses', async () => {
  const entry = await entryThat(() => {});
  await entry.close();
  const clients = await clientsOf(entry.url);
  await until(() => clients.stats().refused >= 8);
  assert.equal((await clients.stop()).unknown, 0);
});

const row = (endAtMs: number, outcome: TruthOutcome = 'acked', site: string | null = 'hangzhou'): TruthRow => {
  return { id: `${endAtMs}`, client: 'c', sentAtMs: endAtMs - 1, endAtMs, outcome, site };
};

test('history: counts by second, acks by site and the longest gap since a moment', () => {
  const history = new History();
  for (const r of [
    row(1000),
    row(1100),
    row(1900, 'unknown', null),
    row(3600, 'refused', null),
    row(4000, 'acked', 'beijing'),
    row(4050),
  ]) {
    history.add(r);
  }
  const { sites, series, longestGap, ...counts } = history.since(1050, 5000);
  assert.deepEqual(counts, { sinceMs: 1050, nowMs: 5000, acked: 3, refused: 1, unknown: 1, lastAckAtMs: 4050 });
  assert.deepEqual(sites['beijing'], { acked: 1, firstAckAtMs: 4000, lastAckAtMs: 4000 });
  assert.deepEqual(sites['hangzhou'], { acked: 2, firstAckAtMs: 1100, lastAckAtMs: 4050 });
  assert.deepEqual(longestGap, { ms: 2900, fromMs: 1100, toMs: 4000 });
  assert.deepEqual(series, [
    { atMs: 1000, acked: 1, refused: 0, unknown: 1 },
    { atMs: 3000, acked: 0, refused: 1, unknown: 0 },
    { atMs: 4000, acked: 2, refused: 0, unknown: 0 },
  ]);
  assert.deepEqual(
    history.since(1950, 5000).longestGap,
    { ms: 2900, fromMs: 1100, toMs: 4000 },
    'a gap that had begun counts whole',
  );
  assert.deepEqual(
    history.since(4100, 9050).longestGap,
    { ms: 5000, fromMs: 4050, toMs: 9050 },
    'a gap that lasts counts up to now',
  );
  assert.equal(new History().since(0, 5000).longestGap, null);
});

test('history holds more than it was made for', () => {
  const history = new History();
  for (let i = 0; i < 200_000; i++) history.add(row(i));
  assert.equal(history.since(150_000, 200_000).acked, 50_000);
});

test('truth: every lost ack is listed, an unknown that did commit is counted, a refused one that did is a lie', async () => {
  const rows = (['acked', 'acked', 'unknown', 'unknown', 'refused', 'refused'] as const).map((outcome, i) =>
    row(i, outcome),
  );
  const present = new Set(['0', '2', '4']);
  assert.deepEqual(await compareTruth(rows, async (ids) => new Set(ids.filter((id) => present.has(id)))), {
    ...{ acked: 2, refused: 2, unknown: 2 },
    missing: [rows[1]],
    unknownCommitted: 1,
    refusedCommitted: [rows[4]],
  });
});

test('truth: a large file is compared in batches, and its torn last line is left out', async () => {
  const file = join(root, 'large.jsonl');
  const count = 100_000;
  const lines = Array.from({ length: count }, (_, i) => JSON.stringify(row(i)));
  writeFileSync(file, `${lines.join('\n')}\n{"id":"torn`);
  let largest = 0;
  const compared = await compareTruth(readTruth(file), (ids) => {
    largest = Math.max(largest, ids.length);
    return Promise.resolve(new Set(ids.filter((id) => Number(id) % 10_000 !== 7)));
  });
  assert.equal(compared.acked, count);
  assert.deepEqual(
    compared.missing.map((r) => r.endAtMs),
    Array.from({ length: 10 }, (_, i) => i * 10_000 + 7),
  );
  assert.ok(largest <= 5000);
});
