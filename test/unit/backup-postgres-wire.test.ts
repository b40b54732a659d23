/** What a base backup and a stream of WAL look like on the wire, and what is made of it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { backupCommand, type BackupRequest } from '../../activities/backup/postgres/backup-command.ts';
import type { Tablespace } from '../../activities/backup/postgres/backup-entry.ts';
import { BackupFlow, safePath } from '../../activities/backup/postgres/backup-flow.ts';
import { BackupParts } from '../../activities/backup/postgres/backup-parts.ts';
import { createFileDigest, manifestAlgorithms } from '../../activities/backup/postgres/file-digest.ts';
import { faultError, ManifestCheck } from '../../activities/backup/postgres/manifest-check.ts';
import { readManifest } from '../../activities/backup/postgres/manifest.ts';
import { parseWalMessage, standbyStatus } from '../../activities/backup/postgres/wal-messages.ts';
import { BackendReader, type BackendPiece } from '../../activities/drivers/postgres/replication.ts';
import { MusterError } from '../../workflows/engine/errors.ts';

const request: BackupRequest = {
  label: "o'clock",
  wal: true,
  checksums: 'CRC32C',
  fastCheckpoint: true,
  maxKilobytesPerSecond: null,
};
const commands: [major: number, request: BackupRequest, command: string][] = [
  [
    14,
    request,
    "BASE_BACKUP LABEL 'o''clock' PROGRESS FAST WAL NOWAIT TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'",
  ],
  [
    14,
    { ...request, wal: false, fastCheckpoint: false, maxKilobytesPerSecond: 5 },
    "BASE_BACKUP LABEL 'o''clock' PROGRESS NOWAIT MAX_RATE 32 TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'",
  ],
  [
    15,
    request,
    "BASE_BACKUP (LABEL 'o''clock', PROGRESS, CHECKPOINT 'fast', WAL, WAIT false, TABLESPACE_MAP, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')",
  ],
  [
    18,
    { ...request, wal: false, checksums: 'SHA256', fastCheckpoint: false, maxKilobytesPerSecond: 1e9 },
    "BASE_BACKUP (LABEL 'o''clock', PROGRESS, CHECKPOINT 'spread', WAIT false, MAX_RATE 1048576, TABLESPACE_MAP, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256')",
  ],
];
for (const [major, wanted, command] of commands) {
  test(`PostgreSQL ${major} is asked in its own grammar, WAL ${wanted.wal ? 'included' : 'left out'}`, () => {
    assert.equal(backupCommand(wanted, major), command);
  });
}

function message(type: string, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

function row(...columns: (string | null)[]): Buffer {
  const parts = columns.map((column) => {
    const head = Buffer.alloc(4);
    head.writeInt32BE(column === null ? -1 : column.length);
    return Buffer.concat([head, Buffer.from(column ?? '')]);
  });
  return message('D', Buffer.concat([Buffer.from([0, columns.length]), ...parts]));
}

interface SmallFile {
  name: string;
  data: Buffer;
}

/** An archive as the server makes it: before version 15 without the zeros at its end. */
function archive(files: SmallFile[], hasEnd: boolean): Buffer {
  const blocks = files.flatMap(({ name, data }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000640\0', 100);
    header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write(`${(1_700_000_000).toString(8).padStart(11, '0')}\0`, 136);
    header.write('0', 156);
    header.write('ustar\0', 257);
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(hasEnd ? 1024 : 0)]);
}

function crc32cHex(bytes: Buffer): string {
  const digest = createFileDigest('CRC32C');
  digest.update(bytes);
  return digest.hex();
}

function manifest(files: { path: string; data: Buffer }[]): Buffer {
  const lines = files.map(
    ({ path, data }) =>
      `{ "Path": "${path}", "Size": ${data.length}, "Last-Modified": "2026-11-21 13:55:32 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "${crc32cHex(data)}" }`,
  );
  const head = `{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": 7710623066095428266,\n"Files": [\n${lines.join(',\n')}\n],\n`;
  const body = `${head}"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000120" }\n],\n`;
  const sum = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${body}"Manifest-Checksum": "${sum}"}\n`);
}

const tablespace: Tablespace = { oid: 16384, location: '/srv/fast' };
interface Trees {
  outside: SmallFile[];
  inside: SmallFile[];
}

const listed = ({ outside, inside }: Trees): Buffer =>
  manifest([
    ...outside.map(({ name, data }) => ({ path: `pg_tblspc/16384/${name}`, data })),
    ...inside.map(({ name, data }) => ({ path: name, data })),
  ]);

/** The answer of PostgreSQL 14: a COPY for each archive, one for the manifest. */
function answer14(trees: Trees): Buffer {
  const copy = (bytes: Buffer): Buffer[] => [
    message('H', Buffer.from([0, 0, 0])),
    ...slices(bytes, 700).map((part) => message('d', part)),
    message('c', ''),
  ];
  return Buffer.concat([
    ...[row('0/2000028', '1'), row('16384', '/srv/fast', '9'), row(null, null, '1000')],
    ...copy(archive(trees.outside, false)),
    ...copy(archive(trees.inside, false)),
    ...copy(listed(trees)),
    ...[row('0/2000120', '1'), message('C', 'SELECT\0'), message('Z', 'I')],
  ]);
}

/** The answer since PostgreSQL 15: one COPY, each message with a letter. */
function answer15(trees: Trees): Buffer {
  const data = (bytes: Buffer): Buffer[] =>
    slices(bytes, 700).map((part) => message('d', Buffer.concat([Buffer.from('d'), part])));
  return Buffer.concat([
    ...[row('0/2000028', '1'), row('16384', '/srv/fast', '9'), row(null, null, '1000')],
    message('H', Buffer.from([0, 0, 0])),
    message('d', 'n16384.tar\0/srv/fast\0'),
    ...data(archive(trees.outside, true)),
    message('d', Buffer.concat([Buffer.from('p'), Buffer.alloc(8)])),
    message('d', 'nbase.tar\0\0'),
    ...data(archive(trees.inside, true)),
    message('d', 'm'),
    ...data(listed(trees)),
    ...[message('c', ''), row('0/2000120', '1'), message('C', 'SELECT\0'), message('Z', 'I')],
  ]);
}

function slices(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

function take(major: number, chunks: Buffer[]) {
  const flow = new BackupFlow('CRC32C', () => undefined);
  const parts = new BackupParts(major, flow);
  const reader = new BackendReader();
  for (const chunk of chunks) {
    // As a socket does that reads into one buffer again and again.
    const read = Buffer.from(chunk);
    const pieces: BackendPiece[] = [...reader.feed(read)];
    for (const piece of pieces) parts.take(piece);
    read.fill(0xff);
  }
  const files: { tablespace: number | null; name: string; data: Buffer }[] = [];
  for (const event of flow.events) {
    const last = files.at(-1);
    if (event.kind === 'data' && last !== undefined) last.data = Buffer.concat([last.data, event.bytes]);
    if (event.kind === 'entry') {
      files.push({ tablespace: event.entry.tablespace?.oid ?? null, name: event.entry.path, data: Buffer.alloc(0) });
    }
  }
  return { flow, parts, files };
}

const file = fc.record({
  name: fc.stringMatching(/^[a-z]{1,12}$/),
  data: fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes)),
});
const tree = fc.uniqueArray(file, { maxLength: 4, selector: ({ name }) => name });

for (const [major, answer] of [
  [14, answer14],
  [15, answer15],
] as const) {
  test(`the answer of PostgreSQL ${major} comes out whole, however it is cut into pieces`, () => {
    fc.assert(
      fc.property(tree, tree, fc.integer({ min: 1, max: 2_000 }), (outside, inside, size) => {
        const { flow, parts, files } = take(major, slices(answer({ outside, inside }), size));
        assert.deepEqual(parts.start, {
          startLsn: '0/2000028',
          timeline: 1,
          tablespaces: [tablespace],
          totalBytes: 1009 * 1024,
        });
        assert.deepEqual(parts.end(), { endLsn: '0/2000120', timeline: 1 });
        assert.deepEqual(files, [
          ...outside.map(({ name, data }) => ({ tablespace: 16384, name, data })),
          ...inside.map(({ name, data }) => ({ tablespace: null, name, data })),
        ]);
        const { faults, facts } = flow.inspector.check.compare(flow.manifestBytes);
        assert.deepEqual(faults, []);
        assert.equal(facts.systemId, '7710623066095428266');
      }),
    );
  });

  test(`an answer of PostgreSQL ${major} that ends early has no end`, () => {
    const bytes = answer({ outside: [], inside: [{ name: 'a', data: Buffer.alloc(600, 1) }] });
    for (const cut of [60, 400, bytes.length - 60]) {
      assert.throws(() => take(major, [bytes.subarray(0, cut)]).parts.end(), /no end position/, String(cut));
    }
  });
}

for (const name of ['../etc/passwd', '/etc/passwd', 'base/../../x', 'base//1', '..']) {
  test(`an entry named ${name} is refused`, () => assert.throws(() => safePath(name), /leads outside/));
}

const [one, two] = [Buffer.from('one'), Buffer.from('two')];
const listedFiles = manifest([
  { path: 'base/1/1', data: one },
  { path: 'base/1/2', data: two },
]);
const checks: [what: string, seen: Record<string, Buffer>, faults: RegExp | null][] = [
  ['as it was listed', { 'base/1/1': one, 'base/1/2': two }, null],
  ['with WAL, which no manifest lists', { 'base/1/1': one, 'base/1/2': two, [`pg_wal/${'0'.repeat(24)}`]: one }, null],
  ['without a file', { 'base/1/1': one }, /base\/1\/2 is missing/],
  ['with one more', { 'base/1/1': one, 'base/1/2': two, 'base/1/3': two }, /base\/1\/3 is not in the manifest/],
  ['with other bytes', { 'base/1/1': one, 'base/1/2': one }, /base\/1\/2 differs \(CRC32C/],
  ['with a byte less', { 'base/1/1': one.subarray(1), 'base/1/2': two }, /base\/1\/1 differs \(2 bytes, not 3\)/],
];
for (const [what, seen, expected] of checks) {
  test(`a backup ${what} ${expected === null ? 'agrees with' : 'differs from'} its manifest`, () => {
    const check = new ManifestCheck('CRC32C');
    for (const [path, data] of Object.entries(seen)) {
      check.add(path, { sizeBytes: data.length, checksum: crc32cHex(data) });
    }
    const { faults } = check.compare(listedFiles);
    if (expected === null) assert.deepEqual(faults, []);
    else assert.match(faultError('CHECKSUM_MISMATCH', 'backup', faults).message, expected);
  });
}

test('a file that comes twice is named', () => {
  const check = new ManifestCheck('CRC32C');
  for (const path of ['base/1/1', 'base/1/1']) check.add(path, { sizeBytes: 3, checksum: crc32cHex(one) });
  assert.match(faultError('CHECKSUM_MISMATCH', 'b', check.compare(listedFiles).faults).message, /came twice/);
});

test('any flipped bit of a manifest is noticed', () => {
  fc.assert(
    fc.property(fc.nat({ max: listedFiles.length - 2 }), fc.nat({ max: 7 }), (place, bit) => {
      const bytes = Buffer.from(listedFiles);
      bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
      assert.throws(
        () => readManifest(bytes, () => undefined),
        (err) => err instanceof MusterError && err.code === 'CHECKSUM_MISMATCH',
      );
    }),
  );
});

test('a path that is no UTF-8 is read from its hex form', () => {
  const text = listedFiles
    .toString()
    .replace('"Path": "base/1/1"', `"Encoded-Path": "${Buffer.from('base/ä').toString('hex')}"`);
  const body = text.slice(0, text.lastIndexOf('"Manifest-Checksum"'));
  const sum = createHash('sha256').update(body).digest('hex');
  const paths: string[] = [];
  readManifest(Buffer.from(`${body}"Manifest-Checksum": "${sum}"}\n`), ({ path }) => void paths.push(path));
  assert.deepEqual(paths, ['base/ä', 'base/1/2']);
});

test('a digest does not depend on how the bytes are cut, in any algorithm', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 9_000 }), fc.nat({ max: 9_000 }), (bytes, cut) => {
      for (const algorithm of manifestAlgorithms) {
        const [whole, cutUp] = [createFileDigest(algorithm), createFileDigest(algorithm)];
        whole.update(bytes);
        cutUp.update(bytes.subarray(0, cut));
        cutUp.update(bytes.subarray(cut));
        assert.equal(whole.hex(), cutUp.hex());
      }
    }),
    { numRuns: 30 },
  );
});

test('CRC-32C is written as PostgreSQL writes it, the lowest byte first', () => {
  // Check value of the catalogue of CRCs: 0xe3069283 for "123456789".
  assert.equal(crc32cHex(Buffer.from('123456789')), '839206e3');
});

test('messages of a stream of WAL are read, and those of kinds to come are passed over', () => {
  const data = Buffer.alloc(27);
  data.write('w');
  data.writeBigUInt64BE(0x3000000n, 1);
  data.writeBigUInt64BE(0x3000002n, 9);
  data.write('ab', 25);
  assert.deepEqual(parseWalMessage(data), {
    kind: 'data',
    startLsn: 0x3000000n,
    serverLsn: 0x3000002n,
    bytes: Buffer.from('ab'),
  });
  const keepalive = Buffer.alloc(18);
  keepalive.write('k');
  keepalive.writeBigUInt64BE(5n, 1);
  keepalive[17] = 1;
  assert.deepEqual(parseWalMessage(keepalive), { kind: 'keepalive', serverLsn: 5n, wantsReply: true });
  assert.equal(parseWalMessage(Buffer.from('?')), null);
});

test('a status says what is written and what is on disk, and nothing of what is applied', () => {
  const nowMs = Date.UTC(2000, 0, 1, 0, 0, 1);
  const bytes = standbyStatus({ writtenLsn: 9n, flushedLsn: 7n, nowMs, wantsReply: true });
  assert.deepEqual(
    [bytes.toString('latin1', 0, 1), ...[1, 9, 17, 25].map((at) => bytes.readBigUInt64BE(at)), bytes[33]],
    ['r', 9n, 7n, 0n, 1_000_000n, 1],
  );
});
