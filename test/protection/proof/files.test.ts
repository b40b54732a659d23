/** Backups of directories that look well and are not, on real repositories that are damaged in copies. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { saveSnapshot, loadSnapshot } from '../../../activities/backup/repository/snapshot.ts';
import type { ProofChecks, RecoveryPoint } from '../../../workflows/engine/protection.ts';
import { createDocuments, type Documents } from './support/documents.ts';
import { savedAgain, type SavedAgain } from './support/saved-again.ts';
import {
  assertCaught,
  assertProven,
  copyOfVault,
  filesBelow,
  vaultAt,
  type Attempt,
  type Caught,
  type World,
} from './support/world.ts';

let world: World;
let sound: RecoveryPoint;
let documents: Documents;

before(async () => {
  documents = await createDocuments('files');
  ({ world } = documents);
  sound = await save();
});
after(() => world[Symbol.asyncDispose]());

const save: Documents['save'] = (of) => documents.save(of);
const source: Documents['source'] = (...names) => documents.source(...names);
const tested: Documents['tested'] = (point, more) => documents.tested(point, more);

const serve = (answer: string): string[] => [
  process.execPath,
  '-e',
  `const fs = require('node:fs'), http = require('node:http');
   http.createServer((request, response) => { ${answer} }).listen(Number(process.argv[1]), '127.0.0.1');`,
  '{port}',
];
const page = `response.end(fs.readFileSync(request.url === '/' ? 'index.html' : '.' + request.url))`;
const home = 'http://127.0.0.1:{port}/';

test('a sound backup of a directory is proven: compared with what was saved, scanned, and served', async () => {
  const checks: ProofChecks = {
    start: serve(page),
    http: [
      { url: home, contains: 'Documents' },
      { url: `${home}folder-1/document-1.txt`, contains: 'all is well' },
    ],
    scanner: ['sh', '-c', 'cat "$0/index.html"', '{directory}'],
  };
  const proof = await tested(sound, { before: sound, checks });
  assertProven(proof);
  const details = new Map(proof.findings.map(({ check, detail }) => [check, detail]));
  assert.match(details.get('files') ?? '', /^26 of 26 read again/);
  assert.match(details.get('scanner') ?? '', /Documents/);
  assert.deepEqual(proof.figures.restoredBytes, sound.sizeBytes);
});

test('a share of the files is enough where only a share was asked for, another share each time', async () => {
  const read = async (runId: string): Promise<string> => {
    const proof = await tested(sound, { runId, checks: { samplePercent: 30 } });
    assertProven(proof);
    return proof.findings.find(({ check }) => check === 'files')?.detail ?? '';
  };
  const shares = [await read('first'), await read('second'), await read('third')];
  for (const share of shares) assert.match(share, /^([1-9]|1\d) of 26 read again/);
  assert.ok(new Set(shares).size > 1, shares.join(' / '));
});

/** Damages a copy of the vault's directory. */
type Damage = (vault: string) => Promise<void>;

const damageFirst = (folder: string, damage: (file: string) => void): Damage => {
  return async (vault) => {
    for (const file of await filesBelow(path.join(vault, folder))) {
      chmodSync(file, 0o600);
      damage(file);
    }
  };
};

/** Holds content; what holds directories is smaller. */
const damageLargestPack = (damage: (file: string) => void): Damage => {
  return async (vault) => {
    const packs = await filesBelow(path.join(vault, 'data'));
    const [largest = ''] = packs.toSorted((a, b) => statSync(b).size - statSync(a).size);
    chmodSync(largest, 0o600);
    damage(largest);
  };
};

const repositories: (Caught & { name: string; damage: Damage; vault?: (vault: string) => Attempt['vault'] })[] = [
  {
    name: 'a truncated pack',
    damage: damageLargestPack((file) => truncateSync(file, 20_000)),
    ...{ code: 'RESTORE_FAILED', says: /cannot be restored: .*truncated/ },
  },
  {
    name: 'a flipped byte in a pack',
    damage: damageLargestPack((file) => {
      const bytes = readFileSync(file);
      bytes[20_000]! ^= 1;
      writeFileSync(file, bytes);
    }),
    ...{ code: 'RESTORE_FAILED', says: /1 cannot be restored: .*picture\.jpg: .*(wrong MAC|hash)/ },
  },
  {
    name: 'a missing pack',
    damage: damageLargestPack((file) => rmSync(file)),
    ...{ code: 'RESTORE_FAILED', says: /cannot be restored: .*missing/ },
  },
  {
    name: 'missing packs of directories',
    damage: damageFirst('data', (file) => rmSync(file)),
    ...{ code: 'REPOSITORY_DAMAGED', says: /\/: tree [0-9a-f]{8} lies in data\/.*, which is missing/ },
  },
  {
    name: 'truncated packs of directories',
    damage: damageFirst('data', (file) => truncateSync(file, 10)),
    ...{ code: 'REPOSITORY_DAMAGED', says: /\/: tree [0-9a-f]{8} lies behind the end of data\// },
  },
  {
    name: 'a missing index file',
    damage: damageFirst('index', (file) => rmSync(file)),
    ...{ code: 'REPOSITORY_DAMAGED', says: /stands in no index/ },
  },
  {
    name: 'a damaged index file',
    damage: damageFirst('index', (file) => truncateSync(file, 100)),
    ...{ code: 'REPOSITORY_DAMAGED', says: /index\/[0-9a-f]{64}/ },
  },
  {
    name: 'a missing snapshot',
    damage: damageFirst('snapshots', (file) => rmSync(file)),
    ...{ code: 'REPOSITORY_DAMAGED', says: /snapshots\/[0-9a-f]{64} is missing/ },
  },
  {
    name: 'a lost config',
    damage: async (vault) => Promise.resolve(rmSync(path.join(vault, 'config'))),
    ...{ code: 'REPOSITORY_MISSING', says: /there is no repository/ },
  },
  {
    name: 'lost keys',
    damage: damageFirst('keys', (file) => rmSync(file)),
    ...{ code: 'REPOSITORY_MISSING', says: /it has no key/ },
  },
  {
    name: 'a password that opens nothing',
    damage: () => Promise.resolve(),
    vault: (directory) => ({ ...vaultAt(directory), password: 'wrong' }),
    ...{ code: 'REPOSITORY_KEY_WRONG', says: /password/ },
  },
  {
    name: 'a vault that is not there',
    damage: (vault) => Promise.resolve(rmSync(vault, { recursive: true })),
    ...{ code: 'REPOSITORY_MISSING', says: /there is no repository/ },
  },
];

describe('a damaged repository is caught:', () => {
  for (const [index, { name, damage, vault: changed, ...caught }] of repositories.entries()) {
    test(name, async () => {
      const copy = await copyOfVault(world, String(index));
      await damage(copy.repository);
      const vault = changed?.(copy.repository) ?? copy;
      assertCaught(await tested(sound, { vault }), caught);
      rmSync(copy.repository, { recursive: true, force: true });
    });
  }
});

/** The point as recorded, but its snapshot is another. */
const otherwise = async (given: SavedAgain): Promise<RecoveryPoint> => {
  const again = await savedAgain(world.repository, sound, given);
  return { ...sound, id: again.id, snapshotId: again.snapshotId };
};

const lies: (Caught & { name: string; point: () => Promise<RecoveryPoint> })[] = [
  {
    name: 'a file that is not in the tree',
    point: () => otherwise({ edits: { [source('index.html')]: () => null } }),
    ...{ code: 'PROOF_FAILED', says: /it lists 25 files of \d+ bytes, recorded 26/ },
  },
  {
    name: 'a file of no length where there was content',
    point: () => otherwise({ edits: { [source('index.html')]: () => Buffer.alloc(0) } }),
    ...{ code: 'PROOF_FAILED', says: /it lists 26 files of \d+ bytes, recorded 26 of/ },
  },
  {
    name: 'a snapshot that points to the tree of another',
    point: async () => {
      const other = await savedAgain(world.repository, sound, { edits: { [source('index.html')]: () => null } });
      const { tree } = await loadSnapshot(world.repository, other.snapshotId);
      const { id: _id, ...own } = await loadSnapshot(world.repository, sound.snapshotId);
      const { id } = await saveSnapshot(world.repository, { ...own, tree });
      return { ...sound, snapshotId: id };
    },
    ...{ code: 'PROOF_FAILED', says: /its snapshot says 26 of \d+/ },
  },
  {
    name: 'a snapshot whose tree is nowhere',
    point: async () => {
      const { id: _id, ...own } = await loadSnapshot(world.repository, sound.snapshotId);
      const { id } = await saveSnapshot(world.repository, { ...own, tree: 'ab'.repeat(32) });
      return { ...sound, snapshotId: id };
    },
    ...{ code: 'REPOSITORY_DAMAGED', says: /tree abababab stands in no index/ },
  },
  {
    name: 'the snapshot of another resource',
    point: async () => {
      const { snapshotId } = await save({ resource: 'pictures' });
      return { ...sound, snapshotId };
    },
    ...{ code: 'PROOF_FAILED', says: /the snapshot is of .*resource:pictures/ },
  },
  {
    name: 'a partial backup that was recorded as complete',
    point: () => otherwise({ about: { status: 'partial', problemCount: 1, problems: ['/x: vanished'] } }),
    ...{ code: 'PROOF_FAILED', says: /the snapshot is partial, recorded is complete/ },
  },
  {
    name: 'a partial backup',
    point: () => Promise.resolve({ ...sound, status: 'partial', problems: ['/a: was deleted'], problemCount: 1 }),
    ...{ code: 'PROOF_FAILED', says: /is partial: \/a: was deleted/ },
  },
];

describe('a snapshot that is not what was recorded is caught:', () => {
  for (const { name, point, ...caught } of lies) {
    test(name, async () => assertCaught(await tested(await point()), caught));
  }
});

describe('a copy that does not serve is caught:', () => {
  const answers: (Caught & { name: string; checks: ProofChecks })[] = [
    {
      name: 'a program that answers 500',
      checks: { start: serve('response.statusCode = 500; response.end()'), http: [{ url: home }] },
      ...{ code: 'PROOF_FAILED', says: /http .* failed: status 500, expected 200/ },
    },
    {
      name: 'a page without what it has to say',
      checks: { start: serve(page), http: [{ url: home, contains: 'Invoices' }] },
      ...{ code: 'PROOF_FAILED', says: /does not contain "Invoices"/ },
    },
    {
      name: 'a program that ends at once',
      checks: { start: ['sh', '-c', 'echo no licence >&2; exit 7'], http: [{ url: home }] },
      ...{ code: 'PROOF_FAILED', says: /the program does not run: it ended with exit code 7; no licence/ },
    },
    {
      name: 'a program that is not there',
      checks: { start: ['/nowhere/to/be/found'], http: [{ url: home }] },
      ...{ code: 'PROOF_FAILED', says: /cannot be started/ },
    },
    {
      name: 'nobody at all',
      checks: { http: [{ url: home }] },
      ...{ code: 'PROOF_FAILED', says: /no answer: .*ECONNREFUSED/ },
    },
    {
      name: 'a scanner that finds something',
      checks: { scanner: ['grep', '-rc', 'all is well', '{directory}/index.html'] },
      ...{ code: 'PROOF_FAILED', says: /scanner grep failed: exit code 1: 0/ },
    },
    {
      name: 'a scanner that cannot be started, which is not known to have found nothing',
      checks: { scanner: ['/nowhere/scan'] },
      ...{ code: 'PROOF_FAILED', says: /scanner \/nowhere\/scan is unknown: it cannot be started/ },
    },
  ];
  for (const { name, checks, ...caught } of answers) {
    test(name, async () => assertCaught(await tested(sound, { checks }), caught));
  }
});
