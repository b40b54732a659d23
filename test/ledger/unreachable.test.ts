import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { openLedger, type Ledger } from '../../worker/ledger/ledger.ts';
import { eventually } from '../support/eventually.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { startLedgerPostgres, withClient, type LedgerPostgres } from '../support/ledger-postgres.ts';
import { anyPort } from '../support/ports.ts';

/** A hang here means that a call of the ledger has no end of its own. */
const hang = { timeout: 30_000 };

let server: LedgerPostgres;
let url: string;
before(async () => {
  server = await startLedgerPostgres();
  url = await server.newDatabase();
});
after(() => server.stop());

async function failureOf(call: Promise<unknown>): Promise<MusterError> {
  const err = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(err instanceof MusterError, 'the call was to fail');
  return err;
}

async function expectUnreachable(ledger: Ledger, reason: RegExp): Promise<string> {
  const err = await failureOf(ledger.listRuns());
  assert.equal(err.code, 'LEDGER_UNREACHABLE');
  assert.equal(err.retryable, true);
  assert.match(err.message, reason);
  assert.doesNotMatch(err.message, /secret/);
  return err.message.match(/since (\S+Z)/)?.[1] ?? 'no time given';
}

test('a ledger that is not there says so, and since when', hang, async () => {
  const ledger = openLedger(`postgres://muster:secret@127.0.0.1:${await anyPort()}/ledger`);
  const since = await expectUnreachable(ledger, /^ledger 127\.0\.0\.1:\d+\/ledger cannot be used since .*ECONNREFUSED/);
  assert.ok(Date.parse(since) <= Date.now());
  assert.equal(await expectUnreachable(ledger, /ECONNREFUSED/), since, 'the first failure is the one that counts');
  await ledger.close();
});

test('a database that does not exist is named without the password', hang, async () => {
  const ledger = openLedger(url.replace('muster@', 'muster:secret@').replace(/[^/]+$/, 'nowhere'));
  await expectUnreachable(ledger, /database "nowhere" does not exist/);
  await ledger.close();
});

test('a place that accepts and never answers ends every call and the closing', hang, async () => {
  const hole = createServer().listen(0, '127.0.0.1');
  const sockets: Socket[] = [];
  hole.on('connection', (socket) => sockets.push(socket.on('error', () => undefined)));
  await once(hole, 'listening');
  const ledger = openLedger(`postgres://muster@127.0.0.1:${(hole.address() as AddressInfo).port}/ledger`);
  await expectUnreachable(ledger, /timeout/);
  await ledger.close();
  sockets.forEach((socket) => socket.destroy());
  await closed(hole);
});

test(
  'a link that goes silent in the middle ends the call, and the ledger works again when it is back',
  hang,
  async () => {
    const relay = await startRelay(Number(new URL(url).port));
    const ledger = openLedger(url.replace(/:\d+\//, `:${relay.port}/`));
    await ledger.migrate();
    relay.silence(true);
    const since = await expectUnreachable(ledger, /timeout/);
    assert.notEqual(since, 'no time given');
    await expectUnreachable(ledger, /timeout/);
    relay.silence(false);
    await eventually('it works again', async () => (await ledger.listRuns()).length === 0);
    relay.silence(true);
    await ledger.close();
    await relay.stop();
  },
);

test('a statement that waits too long for others is ended by the server', hang, async () => {
  const ledger = openLedger(url);
  await ledger.migrate();
  await withClient(url, async (client) => {
    await client.query('BEGIN; LOCK TABLE ledger.runs IN ACCESS EXCLUSIVE MODE');
    // The server's own limit comes first; where the machine stands still just then, the one behind it may.
    await expectUnreachable(ledger, /no answer within 5 s|timeout/);
  });
  assert.deepEqual(await ledger.listRuns(), []);
  await ledger.close();
});

test('connections that the server ends do not end the process', hang, async () => {
  const ledger = openLedger(url);
  await ledger.migrate();
  await withClient(url, (client) =>
    client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'muster ledger'`),
  );
  await ledger.listRuns().catch((err: unknown) => assert.equal((err as MusterError).code, 'LEDGER_UNREACHABLE'));
  assert.deepEqual(await ledger.listRuns(), []);
  await ledger.close();
});

test('an address that is none is refused at once, without being repeated', () => {
  for (const address of ['', 'not a url secret', 'mysql://muster:secret@host/db'])
    assert.throws(
      () => openLedger(address),
      (err: MusterError) => err.code === 'CONFIG_INVALID' && !err.message.includes('secret'),
    );
});

interface Relay {
  port: number;
  silence(on: boolean): void;
  stop(): Promise<void>;
}

/** TCP in front of the database; silent, it takes everything and passes nothing on. */
async function startRelay(toPort: number): Promise<Relay> {
  let silent = false;
  const sockets = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const relay = createServer((inside) => {
    const outside = track(connect(toPort, '127.0.0.1'));
    track(inside);
    inside.on('data', (bytes) => silent || outside.write(bytes)).on('close', () => outside.destroy());
    outside.on('data', (bytes) => silent || inside.write(bytes)).on('close', () => inside.destroy());
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return {
    port: (relay.address() as AddressInfo).port,
    silence: (on) => void (silent = on),
    stop: async () => {
      sockets.forEach((socket) => socket.destroy());
      await closed(relay);
    },
  };
}

async function closed(listening: Server): Promise<void> {
  const end = once(listening, 'close');
  listening.close();
  await end;
}
