/** A receiver of WAL beside real servers: killed, followed over promotions, waited for by commits. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { DirectoryWalArchive } from '../../../activities/backup/postgres/directory-wal-archive.ts';
import { readWalMap } from '../../../activities/backup/postgres/recovery-plan.ts';
import { WalScanner } from '../../../activities/backup/postgres/wal-scan.ts';
import { archiveWal, claimArchive } from '../../../activities/backup/postgres/wal-archive.ts';
import { bytesContent } from '../../../activities/backup/postgres/wal-content.ts';
import { walRanges } from '../../../activities/backup/postgres/wal-gaps.ts';
import { parseWalName } from '../../../activities/backup/postgres/wal-name.ts';
import { startReceiver, type ReceiverEvent } from '../../../activities/backup/postgres/wal-stream.ts';
import { hasReached } from '../../../activities/drivers/postgres/lsn.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { testHome, testServer, type TestHome, type TestServer } from './support/servers.ts';

const segmentBytes = 1 << 20;
const program = path.join(import.meta.dirname, 'support', 'receive.ts');

let home: TestHome;
let server: TestServer;
before(async () => {
  home = await testHome('wal-stream');
  server = await testServer(home, { walSegmentMegabytes: 1, extra: { wal_keep_size: '512MB' } });
  await server.sql((client) => client.query('CREATE TABLE marks (i int PRIMARY KEY, filler text)'));
});
const children: ChildProcess[] = [];
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await server[Symbol.asyncDispose]();
  await home[Symbol.asyncDispose]();
});

const archiveOf = (name: string) => new DirectoryWalArchive(home.path(name));
const segmentsIn = (dir: string): string[] =>
  existsSync(dir)
    ? readdirSync(dir)
        .filter((name) => /^[0-9A-F]{24}$/.test(name))
        .toSorted()
    : [];

async function flushLsn(of: TestServer): Promise<string> {
  return of.sql(async (client) => {
    const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
    return rows[0]?.lsn ?? '';
  });
}

/** About that many bytes of WAL. */
async function writeWal(of: TestServer, megabytes: number): Promise<void> {
  await of.sql((client) =>
    client.query('SELECT pg_logical_emit_message(false, $1, repeat($2, 1024)) FROM generate_series(1, $3)', [
      'filler',
      'x',
      megabytes * 1000,
    ]),
  );
}

function receiveInChild(archive: string): ChildProcess {
  const args = [program, server.url, home.path(archive), 'killed'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(child);
  return child;
}

async function killNow(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

test('a receiver killed in the middle of segments goes on without a hole, byte for byte as the server has it', async () => {
  const archive = archiveOf('killed');
  const names = (): number => segmentsIn(home.path('killed')).length;
  for (let round = 0; round < 4; round++) {
    const child = receiveInChild('killed');
    const before = names();
    const writing = writeWal(server, 4);
    await eventually('something of this round is archived', () => names() > before);
    await killNow(child);
    await writing;
  }
  const lsn = await flushLsn(server);
  await using receiver = startReceiver({ url: () => server.url, slot: 'killed', name: 'killed', store: archive });
  await eventually('all is received', () => hasReached(receiver.status().flushedLsn, lsn));
  await receiver.stop();

  const segments = segmentsIn(home.path('killed'));
  assert.ok(segments.length > 12, segments.join(' '));
  for (const name of segments) {
    const [ours, theirs] = [home.path('killed', name), path.join(server.dataDir, 'pg_wal', name)];
    assert.ok(readFileSync(ours).equals(readFileSync(theirs)), name);
  }
  const ranges = walRanges(await readWalMap(archive, segmentBytes));
  assert.deepEqual(
    ranges.map(({ kind }) => kind),
    ['found', 'partial'],
  );
});

test('every record of what was received holds, and a flipped bit is found and placed', async () => {
  const dir = home.path('killed');
  const scanner = new WalScanner({ segmentBytes, systemId: null });
  const segments = segmentsIn(dir);
  let records = 0;
  for (const name of segments) {
    const parsed = parseWalName(name, segmentBytes);
    assert.ok(parsed?.kind === 'segment');
    const scan = scanner.scan(1, parsed.segment, readFileSync(path.join(dir, name)));
    assert.deepEqual([scan.kind, scan.why], ['full', ''], name);
    records += scan.records;
  }
  assert.ok(records > 10_000);
  const name = segments.at(-2) ?? '';
  const parsed = parseWalName(name, segmentBytes);
  assert.ok(parsed?.kind === 'segment');
  const before = readFileSync(path.join(dir, segments.at(-3) ?? ''));
  const start = BigInt(parsed.segment) * BigInt(segmentBytes);
  // The beginning, the headers of a page (what it is, whose, where, what goes on there), and inside records.
  for (const place of [1, 17, 60, 8192, 8196, 8201, 8208, segmentBytes / 2 + 100, segmentBytes - 5_000]) {
    const damaged = new WalScanner({ segmentBytes, systemId: null });
    damaged.scan(1, parsed.segment - 1, before);
    const scan = damaged.scan(1, parsed.segment, flipped(readFileSync(path.join(dir, name)), place));
    assert.equal(scan.kind, 'damaged', String(place));
    assert.ok(
      scan.validToLsn > start + BigInt(place) - 3_000n && scan.validToLsn <= start + BigInt(place),
      String(place),
    );
  }
  // What runs over into the next segment has its checksum there.
  const over = new WalScanner({ segmentBytes, systemId: null });
  over.scan(1, parsed.segment - 1, before);
  const begun = flipped(readFileSync(path.join(dir, name)), segmentBytes - 100);
  const next = readFileSync(path.join(dir, segments.at(-1) ?? ''));
  const kinds = [over.scan(1, parsed.segment, begun).kind, over.scan(1, parsed.segment + 1, next).kind];
  assert.deepEqual(kinds, ['full', 'damaged']);
});

function flipped(bytes: Buffer, place: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[place] = (changed[place] ?? 0) ^ 4;
  return changed;
}

test('what the server has removed is a gap: it is named, and the receiver ends or goes on behind it as it was told', async () => {
  const archive = archiveOf('gap');
  const [first = ''] = segmentsIn(home.path('killed'));
  // An archive that stopped before the oldest WAL of the server.
  const bytes = Buffer.from(readFileSync(home.path('killed', first)));
  await archiveWal(archive, first, bytesContent(bytes));
  await server.sql(async (client) => {
    await client.query("ALTER SYSTEM SET wal_keep_size = '0'; ");
    await client.query("ALTER SYSTEM SET max_wal_size = '4MB'");
    await client.query("ALTER SYSTEM SET min_wal_size = '2MB'");
    await client.query('SELECT pg_reload_conf()');
    await client.query("SELECT pg_drop_replication_slot('killed')");
  });
  await writeWal(server, 4);
  await server.sql((client) => client.query('CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT'));
  const receiver = startReceiver({ url: () => server.url, slot: null, store: archive });
  await assert.rejects(
    receiver.done,
    (err) => err instanceof MusterError && err.code === 'WAL_GAP' && /already been removed/.test(err.message),
  );
  await keepWalAgain();
  const events: ReceiverEvent[] = [];
  const onEvent = (event: ReceiverEvent): void => void events.push(event);
  await using going = startReceiver({ url: () => server.url, slot: null, store: archive, atGap: 'continue', onEvent });
  // It streams before the server finds that it lacks what was asked for; where it begins behind the gap is the end of then.
  const isBehind = (): boolean => events.some(({ kind }) => kind === 'gap') && going.status().state === 'streaming';
  await eventually('it streams behind the gap', isBehind);
  await writeWal(server, 2);
  const lsn = await flushLsn(server);
  await eventually('all is received', () => hasReached(going.status().flushedLsn, lsn));
  await going.stop();
  const ranges = walRanges(await readWalMap(archive, segmentBytes));
  assert.deepEqual(
    ranges.map(({ kind }) => kind),
    ['found', 'lost', 'found', 'partial'],
  );
});

/** As the server began: else nothing keeps what a receiver without a slot has not read, and a second gap may come. */
async function keepWalAgain(): Promise<void> {
  await server.sql(async (client) => {
    await client.query('ALTER SYSTEM RESET wal_keep_size');
    await client.query('SELECT pg_reload_conf()');
  });
  await eventually('WAL is kept again', () =>
    server.sql(async (client) => {
      const { rows } = await client.query<{ wal_keep_size: string }>('SHOW wal_keep_size');
      return rows[0]?.wal_keep_size === '512MB';
    }),
  );
}

test('other bytes under a name are an alarm, the first ones stay, and the receiver ends', async () => {
  const archive = archiveOf('conflict');
  await using receiver = startReceiver({ url: () => server.url, slot: 'conflict', store: archive });
  await eventually('it streams', () => receiver.status().state === 'streaming');
  await writeWal(server, 2);
  await eventually('a segment is there', () => segmentsIn(home.path('conflict')).length > 1);
  await receiver.stop();
  const name = segmentsIn(home.path('conflict')).at(-1) ?? '';
  const file = home.path('conflict', name);
  const bytes = Buffer.from(readFileSync(file));
  assert.equal(await archiveWal(archive, name, bytesContent(bytes)), 'same');
  bytes[5_000] = (bytes[5_000] ?? 0) ^ 1;
  await assert.rejects(
    archiveWal(archive, name, bytesContent(bytes)),
    (err) => err instanceof MusterError && err.code === 'WAL_CONFLICT' && err.message.includes(name),
  );
  assert.ok(!readFileSync(file).equals(bytes));

  // Somebody else's bytes stand where the next segment belongs.
  const { rows } = await server.sql((client) =>
    client.query<{ name: string }>('SELECT pg_walfile_name(pg_current_wal_lsn()) AS name'),
  );
  const next = rows[0]?.name ?? '';
  writeFileSync(home.path('conflict', next), bytes);
  rmSync(home.path('conflict', `${next}.partial`), { force: true });
  const again = startReceiver({ url: () => server.url, slot: 'conflict', store: withoutName(archive, next) });
  await writeWal(server, 3);
  await assert.rejects(again.done, (err) => err instanceof MusterError && err.code === 'WAL_CONFLICT');
  assert.ok(readFileSync(home.path('conflict', next)).equals(bytes));
});

/** The same archive, in which one name is overlooked: it comes while the receiver is at work. */
function withoutName(archive: DirectoryWalArchive, hidden: string) {
  return {
    archive,
    openSegment: (name: string, bytes: number) => archive.openSegment(name, bytes),
    async *list() {
      for await (const one of archive.list()) if (one !== hidden) yield one;
    },
  };
}

test('an archive of one system takes no WAL of another', async () => {
  const archive = archiveOf('owned');
  await claimArchive(archive, { systemId: '42', segmentBytes });
  const receiver = startReceiver({ url: () => server.url, slot: null, store: archive });
  await assert.rejects(receiver.done, (err) => err instanceof MusterError && err.code === 'WAL_CONFLICT');
});

test('a server that is away reads as unknown, and is taken up again when it is back', async () => {
  const archive = archiveOf('away');
  await using receiver = startReceiver({ url: () => server.url, slot: null, store: archive, retryMs: 200 });
  await eventually('it streams', () => receiver.status().lagBytes === 0);
  await server.kill();
  await eventually('it notices', () => receiver.status().state === 'waiting');
  const { lagBytes, serverLsn, replyAgeMs, flushedLsn, why } = receiver.status();
  assert.deepEqual({ lagBytes, serverLsn, replyAgeMs }, { lagBytes: null, serverLsn: null, replyAgeMs: null });
  assert.ok(flushedLsn !== null && why !== null && !why.includes('test@'));
  await server.start();
  await writeWal(server, 1);
  const lsn = await flushLsn(server);
  await eventually('all is received', () => hasReached(receiver.status().flushedLsn, lsn));
});
