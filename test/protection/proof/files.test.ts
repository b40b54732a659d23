/** Backups of directories that look well and are not, on real repositories that are damaged in copies. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { backup } from '../../../activities/backup/engine/backup.ts';
import { saveSnapshot, loadSnapshot } from '../../../activities/backup/repository/snapshot.ts';
import { hostOf, pointOf, tagsOf } from '../../../activities/protection/points.ts';
import type { PlanResource } from '../../../workflows/engine/plan.ts';
import type { ProofChecks, RecoveryPoint, RestoreProof } from '../../../workflows/engine/protection.ts';
import { savedAgain, type SavedAgain } from './support/saved-again.ts';
import {
  assertCaught,
  assertProven,
  attempt,
  copyOfVault,
  createWorld,
  filesBelow,
  service,
  site,
  vaultAt,
  type Attempt,
  type Caught,
  type World,
} from './support/world.ts';

const resource: PlanResource = { name: 'documents', driver: 'directory', shared: {}, sites: { [site]: {} } };

let world: World;
let sound: RecoveryPoint;

before(async () => {
  world = await createWorld('files');
  for (let i = 0; i < 24; i++) write(`folder-${i % 3}/document-${i}.txt`, textOf(i));
  write('folder-0/picture.jpg', Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), randomBytes(40_000)]));
  write('index.html', '<h1>Documents</h1>');
  sound = await save();
});
after(() => world[Symbol.asyncDispose]());

const source = (...names: string[]): string => world.at('source', ...names);

function write(name: string, content: string | Buffer): void {
  mkdirSync(path.dirname(source(name)), { recursive: true });
  writeFileSync(source(name), content);
}

function textOf(number: number): string {
  return Array.from({ length: 400 }, (_, line) => `document ${number}, line ${line}: all is well`).join('\n');
}

/** As the activity would save it, if it saved directories. */
async function save(of: { resource: string } = { resource: resource.name }): Promise<RecoveryPoint> {
  const whose = { service, resource: of.resource };
  const startedAtMs = Date.now();
  const { snapshot } = await backup({
    ...{ repository: world.repository, paths: [source()], threads: 1, xattrs: false },
    ...{ host: hostOf(whose), tags: tagsOf(whose), time: new Date(startedAtMs) },
    about: ({ counts }) => ({
      ...{ version: 1, runId: 'save', ...whose, kind: 'directory', site, status: 'complete' },
      ...{ startedAtMs, takenAtMs: startedAtMs, endedAtMs: Date.now(), sizeBytes: counts.bytesDone, addedBytes: 0 },
      ...{ files: counts.filesNew + counts.filesChanged + counts.filesUnmodified, facts: {} },
      ...{ problems: [], problemCount: 0 },
    }),
  });
  return pointOf('vault', snapshot) as RecoveryPoint;
}

function tested(point: RecoveryPoint, more: Partial<Attempt> = {}): Promise<RestoreProof> {
  return attempt({ world, resource, point, ...more });
}

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

describe('what destroyed the files before they were saved raises the alarm:', () => {
  const names = (): string[] => Array.from({ length: 24 }, (_, i) => `folder-${i % 3}/document-${i}.txt`);
  const restoreAll = (): void => {
    rmSync(source(), { recursive: true });
    for (const [i, name] of names().entries()) write(name, textOf(i));
    write('folder-0/picture.jpg', Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), randomBytes(40_000)]));
    write('index.html', '<h1>Documents</h1>');
  };

  const attacks: (Caught & { name: string; attack: () => void; checks?: ProofChecks })[] = [
    {
      name: 'a third of the files encrypted in their places',
      attack: () => {
        for (const name of names().slice(0, 9)) write(name, randomBytes(20_000));
      },
      ...{
        code: 'PROOF_FAILED',
        says: /entropy documents failed: of \d+ changed files .* 9 look encrypted \(.*document-\d/,
      },
    },
    {
      name: 'files encrypted under new names',
      attack: () => {
        for (const name of names().slice(0, 9)) {
          write(`${name}.locked`, randomBytes(20_000));
          rmSync(source(name));
        }
      },
      ...{ code: 'PROOF_FAILED', says: /entropy documents failed: .* 9 look encrypted \(.*\.locked/ },
    },
    {
      name: 'only the first pages of files encrypted',
      attack: () => {
        for (const [i, name] of names().slice(0, 9).entries())
          write(name, Buffer.concat([randomBytes(4_096), Buffer.from(textOf(i).repeat(8))]));
      },
      ...{ code: 'PROOF_FAILED', says: /entropy documents failed/ },
    },
    {
      name: 'most files deleted',
      attack: () => {
        for (const name of names().slice(0, 20)) rmSync(source(name));
      },
      ...{ code: 'PROOF_FAILED', says: /change-rate documents failed: of 26 files .* 20 went/ },
    },
    {
      name: 'most files emptied',
      attack: () => {
        for (const name of names().slice(0, 20)) write(name, '');
      },
      ...{ code: 'PROOF_FAILED', says: /change-rate documents failed: .*20 are empty now/ },
    },
    {
      name: 'most files written over, though with text',
      attack: () => {
        for (const name of names().slice(0, 20)) write(name, 'your files are gone\n'.repeat(50));
      },
      ...{ code: 'PROOF_FAILED', says: /change-rate documents failed: of 26 files 2\d changed/ },
    },
  ];
  for (const { name, attack, ...caught } of attacks) {
    test(name, async () => {
      restoreAll();
      attack();
      assertCaught(await tested(await save(), { before: sound }), caught);
    });
  }

  test('a day of honest work does not', async () => {
    restoreAll();
    for (const [i, name] of names().slice(0, 6).entries()) write(name, `${textOf(i)}\nand one line more`);
    write('folder-1/archive.gz', gzipSync(randomBytes(50_000)));
    renameSync(source('folder-0/picture.jpg'), source('folder-0/renamed.jpg'));
    const proof = await tested(await save(), { before: sound });
    assertProven(proof);
    assert.ok(proof.findings.some(({ check, verdict }) => check === 'entropy' && verdict === 'passed'));
  });

  test('nor does an attack that stays below what the user allows', async () => {
    restoreAll();
    for (const name of names().slice(0, 9)) write(name, randomBytes(20_000));
    assertProven(await tested(await save(), { before: sound, checks: { maxScrambledPercent: 100 } }));
  });
});
