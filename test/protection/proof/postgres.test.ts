/** Base backups that look well and are not: each is caught, and the sound ones beside them are proven. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DirectoryWalArchive } from '../../../activities/backup/postgres/directory-wal-archive.ts';
import { openRepositoryWalArchive } from '../../../activities/backup/postgres/repository-wal-archive.ts';
import type { WalArchive } from '../../../activities/backup/postgres/wal-archive.ts';
import type {
  ProofChecks,
  RecoveryPoint,
  RestoreProof,
  RestoreTestOrder,
} from '../../../workflows/engine/protection.ts';
import { debianBinDir, hasDebian } from '../../backup/postgres/support/servers.ts';
import { createDatabase, type Database } from './support/database.ts';
import {
  damagedBeforeBackup,
  dataPath,
  fileOf,
  savedAgain,
  type Edits,
  type SavedAgain,
} from './support/saved-again.ts';
import {
  assertCaught,
  assertProven,
  attempt,
  copyOfVault,
  createWorld,
  filesBelow,
  type Attempt,
  type Caught,
  type World,
} from './support/world.ts';

const pageBytes = 8_192;

let world: World;
let database: Database;
let sound: RecoveryPoint;
/** A file of an index as it was some rows ago. */
let staleIndex: Buffer;
const files = { orders: '', ordersKey: '', items: '' };

before(async () => {
  world = await createWorld('postgres');
  database = await createDatabase(world);
  const early = await database.save();
  for (const [name, relation] of [
    ['orders', 'orders'],
    ['ordersKey', 'orders_pkey'],
    ['items', 'items'],
  ] as const) {
    files[name] = await database.fileOf(relation);
  }
  staleIndex = await fileOf(world.repository, early, `${dataPath}/${files.ordersKey}`);
  await database.server.sql(async (client) => {
    await client.query("INSERT INTO orders SELECT i, 1, 'newer' FROM generate_series(4001, 4100) i");
    await client.query('CHECKPOINT');
  });
  sound = await database.save();
});
after(async () => {
  await database[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

function tested(point: RecoveryPoint, more: Partial<Attempt> = {}): Promise<RestoreProof> {
  return attempt({ world, resource: database.resource, point, ...more });
}

const allChecks: ProofChecks = {
  rows: [
    { table: 'public.orders', min: 4100, max: 4100 },
    { table: 'items', min: 1 },
  ],
  sql: [
    {
      name: 'every order has its customer',
      sql: 'SELECT count(*) = 4100 FROM orders JOIN customers c ON c.id = customer',
    },
  ],
  canaryMaxAgeSeconds: 3 * 3_600,
  scanner: ['sh', '-c', 'test -f "$0/PG_VERSION" && echo looked through', '{directory}'],
};

test('a sound base backup is proven, and what it took is told', async () => {
  const phases: string[] = [];
  const heartbeat = (progress: unknown): void => void phases.push((progress as { phase: string }).phase);
  const proof = await tested(sound, { checks: allChecks, heartbeat });
  assertProven(proof);
  const checks = new Set(proof.findings.map(({ check }) => check));
  for (const check of ['recorded', 'facts', 'contents', 'amcheck', 'rows', 'sql', 'canary', 'checksums', 'scanner']) {
    assert.ok(checks.has(check), check);
  }
  for (const [name, value] of Object.entries(proof.figures)) assert.ok(value !== null && value > 0, name);
  assert.equal(proof.restoredToMs, sound.takenAtMs);
  assert.ok(proof.restoreSeconds !== null && proof.restoreSeconds > 0);
  for (const phase of ['listing', 'laying-down', 'verifying', 'scanning']) assert.ok(phases.includes(phase), phase);
});

/** As the source's disk was when the base backup was taken: everything agrees with the manifest. */
const onTheDisk = (file: keyof typeof files, edit: (bytes: Buffer) => Buffer) => async (): Promise<SavedAgain> => ({
  edits: await damagedBeforeBackup(world.repository, sound, { [files[file]]: edit }),
});

const inTheRepository = (edits: () => Edits) => async (): Promise<SavedAgain> => Promise.resolve({ edits: edits() });

const damages: (Caught & { name: string; damage: () => Promise<SavedAgain> })[] = [
  {
    name: "a table's file that was empty before the backup was taken",
    damage: onTheDisk('items', () => Buffer.alloc(0)),
    ...{ code: 'PROOF_FAILED', says: /contents public\.items failed: its file is empty, it had \d+ pages/ },
  },
  {
    name: "the second half of a table's pages cut off",
    damage: onTheDisk('orders', (bytes) => bytes.subarray(0, Math.floor(bytes.length / 2 / pageBytes) * pageBytes)),
    ...{ code: 'PROOF_FAILED', says: /contents public\.orders failed/ },
  },
  {
    name: 'a flipped byte in a page that was saved as it was',
    damage: onTheDisk('orders', (bytes) => flipped(bytes, 3 * pageBytes + 5_000)),
    ...{ code: 'PROOF_FAILED', says: /invalid page in block 3/ },
  },
  {
    name: 'an index that lags behind its table',
    damage: onTheDisk('ordersKey', () => staleIndex),
    ...{ code: 'PROOF_FAILED', says: /amcheck public\.orders_pkey failed|contents public\.orders failed/ },
  },
  {
    name: 'a flipped byte that the manifest knows of',
    damage: inTheRepository(() => ({ [`${dataPath}/${files.orders}`]: (bytes) => flipped(bytes, 100) })),
    ...{ code: 'RESTORE_FAILED', says: /differs/ },
  },
  {
    name: 'a file that is not in the tree',
    damage: inTheRepository(() => ({ [`${dataPath}/${files.items}`]: () => null })),
    ...{ code: 'RESTORE_FAILED', says: /is missing/ },
  },
  {
    name: 'a file of no length where there was content',
    damage: inTheRepository(() => ({ [`${dataPath}/${files.items}`]: () => Buffer.alloc(0) })),
    ...{ code: 'RESTORE_FAILED', says: /0 bytes, not \d+/ },
  },
  {
    name: 'a lost control file',
    damage: inTheRepository(() => ({ [`${dataPath}/global/pg_control`]: () => null })),
    ...{ code: 'RESTORE_FAILED', says: /global\/pg_control is missing/ },
  },
  {
    name: 'a base backup without its manifest',
    damage: inTheRepository(() => ({ [`${dataPath}/backup_manifest`]: () => null })),
    ...{ code: 'REPOSITORY_DAMAGED', says: /backup_manifest is missing/ },
  },
  {
    name: 'a base backup whose facts are lost',
    damage: inTheRepository(() => ({ '/postgres/backup.json': () => null })),
    ...{ code: 'SNAPSHOT_UNKNOWN', says: /is no base backup/ },
  },
  {
    name: 'facts that are no JSON any more',
    damage: inTheRepository(() => ({ '/postgres/backup.json': (bytes) => bytes.subarray(0, 20) })),
    ...{ code: 'RESTORE_FAILED', says: /JSON/ },
  },
  {
    name: 'another version than any that is here',
    damage: inTheRepository(() => ({ '/postgres/backup.json': (bytes) => withFacts(bytes, { postgresMajor: 9 }) })),
    ...{ code: 'RESTORE_FAILED', says: /is of PostgreSQL 9/ },
  },
  {
    name: 'the base backup of another system than was recorded',
    damage: inTheRepository(() => ({ '/postgres/backup.json': (bytes) => withFacts(bytes, { systemId: '4711' }) })),
    ...{ code: 'RESTORE_FAILED', says: /system/ },
  },
  {
    name: 'the WAL that makes it consistent is not in it',
    damage: async () => ({ edits: await withoutWal() }),
    ...{ code: 'RESTORE_FAILED', says: /pg_wal.* is missing/ },
  },
];

describe('what looks like a sound base backup is caught:', () => {
  for (const { name, damage, ...caught } of damages) {
    test(name, async () => {
      const point = await savedAgain(world.repository, sound, await damage());
      assertCaught(await tested(point), caught);
    });
  }
});

test('a damaged pack is caught by the file that it hurts, though half of the server is laid down by then', async () => {
  const before = new Set(await filesBelow(world.at('vault', 'data')));
  await database.server.sql((client) => client.query('UPDATE items SET name = name || md5(name); CHECKPOINT'));
  const point = await database.save();
  const copy = await copyOfVault(world, 'damaged');
  const packs = (await filesBelow(world.at('vault', 'data'))).filter((file) => !before.has(file));
  for (const pack of packs.map((file) => path.join(copy.repository, path.relative(world.at('vault'), file)))) {
    const sound = readFileSync(pack);
    chmodSync(pack, 0o600);
    writeFileSync(
      pack,
      sound.map((byte, at) => (at % 256 === 0 ? byte ^ 1 : byte)),
    );
    assertCaught(await tested(point, { vault: copy }), { code: 'REPOSITORY_DAMAGED', says: /wrong MAC|hash/ });
    writeFileSync(pack, sound);
  }
  assertProven(await tested(point, { vault: copy }));
});

describe('what the user asks for and does not get is told, each by its name:', () => {
  let proof: RestoreProof;
  before(async () => {
    const checks: ProofChecks = {
      canaryMaxAgeSeconds: 600,
      sql: [{ name: 'orders of today', sql: "SELECT 1 FROM orders WHERE note = 'today'" }],
      scanner: ['sh', '-c', 'echo Eicar in $0; exit 3', '{directory}'],
    };
    proof = await tested(sound, { checks });
  });
  const unmet = [
    { name: 'a canary mark that is young enough', check: 'canary', says: /\d+ ms older than what was restored/ },
    { name: 'a row in answer to a question', check: 'sql', says: /it gave no row/ },
    { name: 'a scanner that finds nothing', check: 'scanner', says: /exit code 3: Eicar in .*data/ },
  ];
  for (const { name, check, says } of unmet) {
    test(name, () => {
      const finding = proof.findings.find((one) => one.check === check);
      assert.deepEqual([proof.verdict, finding?.verdict], ['failed', 'failed']);
      assert.match(finding?.detail ?? '', says);
      assert.match(proof.failure ?? '', new RegExp(`^PROOF_FAILED: .*${check} .* failed`));
    });
  }
});

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at]! ^= 0x10;
  return bytes;
}

function withFacts(bytes: Buffer, facts: Record<string, unknown>): Buffer {
  return Buffer.from(JSON.stringify({ ...(JSON.parse(bytes.toString()) as object), ...facts }));
}

async function withoutWal(): Promise<Edits> {
  const facts = JSON.parse((await fileOf(world.repository, sound, '/postgres/backup.json')).toString()) as {
    startLsn: string;
  };
  const [high = '', low = ''] = facts.startLsn.split('/');
  const segment = Math.floor(Number.parseInt(low, 16) / 2 ** 20)
    .toString(16)
    .toUpperCase();
  const name = `00000001${high.padStart(8, '0')}${segment.padStart(8, '0')}`;
  return { [`${dataPath}/pg_wal/${name}`]: () => null };
}

describe('with the archived WAL', () => {
  const latest: RestoreTestOrder['target'] = { kind: 'latest' };
  const checks: ProofChecks = { canaryMaxAgeSeconds: 600 };
  before(async () => {
    for (let i = 0; i < 4; i++) await database.goOn();
  });

  const through = (archive: WalArchive): Partial<Attempt> => ({
    ...{ target: latest, checks, tools: { archiveOf: () => archive } },
  });

  test('a sound one is proven up to its end, with the canary of then', async () => {
    const archive = await database.archive(new DirectoryWalArchive(world.at('wal-sound')));
    const proof = await tested(sound, through(archive));
    assertProven(proof);
    assert.ok((proof.restoredToMs ?? 0) > sound.takenAtMs, `${proof.restoredToMs}`);
    assert.ok((proof.figures.walBytes ?? 0) > 2 ** 20, `${proof.figures.walBytes}`);
  });

  /** `at`: the segment's place from the end, -1 for the last. */
  const archives: (Caught & { name: string; choose: (segment: Buffer, at: number) => Buffer | null })[] = [
    {
      name: 'an archive that stopped long ago without a word',
      choose: (segment, at) => (at < -4 ? segment : null),
      ...{ code: 'PROOF_FAILED', says: /canary muster\.canary failed/ },
    },
    {
      name: 'a segment that is missing',
      choose: (segment, at) => (at === -3 ? null : segment),
      ...{ code: 'WAL_GAP', says: /0000000100000000[0-9A-F]{8} is missing/ },
    },
    {
      name: 'a damaged segment',
      choose: (segment, at) => (at === -3 ? flipped(segment, 120) : segment),
      ...{ code: 'CHECKSUM_MISMATCH', says: /ended early/ },
    },
    {
      name: 'the WAL of another system',
      choose: (segment) => {
        segment.writeBigUInt64LE(segment.readBigUInt64LE(24) + 1n, 24);
        return segment;
      },
      ...{ code: 'WAL_CONFLICT', says: /holds the WAL of system \d+, the base backup is of \d+/ },
    },
    {
      name: 'an archive that never got anything',
      choose: () => null,
      ...{ code: 'RECOVERY_TARGET_UNREACHABLE', says: /shop\/orders has nothing in .*wal-\d/ },
    },
  ];
  for (const [index, { name, choose, ...caught }] of archives.entries()) {
    test(`${name} is caught`, async () => {
      const archive = await database.archive(new DirectoryWalArchive(world.at(`wal-${index}`)), choose);
      assertCaught(await tested(sound, through(archive)), caught);
    });
  }

  test('the archive in the vault is the one that is asked, and caught for being empty', async () => {
    const caught = { code: 'RECOVERY_TARGET_UNREACHABLE', says: /shop\/orders has nothing in the WAL of shop\/orders/ };
    assertCaught(await tested(sound, { target: latest }), caught);
    const owner = { service: 'shop', resource: 'orders', systemId: sound.facts['systemId'] as string };
    await database.archive(openRepositoryWalArchive(world.repository, owner));
    assertProven(await tested(sound, { target: latest, checks }));
  });

  test('no archive at all is caught, where WAL was to be replayed', async () => {
    const caught = { code: 'RECOVERY_TARGET_UNREACHABLE', says: /shop\/orders has no archive/ };
    assertCaught(await tested(sound, { target: latest, tools: { archiveOf: () => null } }), caught);
  });
});

describe('what the source has lost before it was saved is caught:', () => {
  let robbed: RecoveryPoint;
  before(async () => {
    await database.server.sql(async (client) => {
      await client.query('DROP TABLE items');
      await client.query('DELETE FROM orders WHERE id % 2 = 0');
    });
    robbed = await database.save();
  });

  test('a table, and half of the rows of another', async () => {
    const rows = [
      { table: 'items', min: 1 },
      { table: 'orders', min: 4_000 },
    ];
    const proof = await tested(robbed, { checks: { rows } });
    assertCaught(proof, { code: 'PROOF_FAILED', says: /rows items failed: there is no such table/ });
    assertCaught(proof, { code: 'PROOF_FAILED', says: /rows orders failed: 2050 rows, expected 4000 to any number/ });
  });

  test('everything, without a check of the user', async () => {
    await database.server.sql((client) => client.query('DROP TABLE customers, orders'));
    const caught = { code: 'PROOF_FAILED', says: /contents cluster failed: it is empty: 0 tables/ };
    assertCaught(await tested(await database.save()), caught);
  });
});

const skip = hasDebian ? false : 'PostgreSQL 15 is not installed';

test(
  'a site whose PostgreSQL is of another version than the base backup is told before a disaster does',
  { skip },
  async () => {
    const { resource } = database;
    const withOld = Object.entries(resource.sites).map(([name, own]) => [name, { ...own, binDir: debianBinDir }]);
    const caught = { code: 'RESTORE_FAILED', says: /is of PostgreSQL 18; hangzhou has 15/ };
    assertCaught(await tested(sound, { resource: { ...resource, sites: Object.fromEntries(withOld) } }), caught);
  },
);

test('a base backup of an older version is proven with the programs of that version', { skip }, async () => {
  await using old = await createDatabase(world, { name: 'old-orders', binDir: debianBinDir });
  const point = await old.save();
  assert.equal(point.facts['postgresMajor'], 15);
  const proof = await attempt({
    world,
    resource: old.resource,
    point,
    checks: { rows: [{ table: 'orders', min: 4_000 }] },
  });
  assertProven(proof);
});
