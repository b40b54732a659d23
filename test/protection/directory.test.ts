/** A directory of the estate: saved by its agent, partial by name, proven, restored as it was, kept, copied, and moved by a runbook. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { directoryDriver } from '../../activities/drivers/directory/driver.ts';
import { saveBackup } from '../../activities/protection/backup.ts';
import { listPoints } from '../../activities/protection/list-points.ts';
import { mirrorVault } from '../../activities/protection/mirror.ts';
import { pruneVault } from '../../activities/protection/prune.ts';
import { restorePoint } from '../../activities/protection/restore.ts';
import type { JsonObject, Mode, PlanResource, Verb } from '../../workflows/engine/plan.ts';
import type { PerformOutcome, VerbInput } from '../../workflows/engine/ports.ts';
import type { BackupOrder, RecoveryPoint, RestoreOrder } from '../../workflows/engine/protection.ts';
import {
  assertCaught,
  assertProven,
  attempt,
  contextOf,
  createWorld,
  service,
  site,
  vaultAt,
  type World,
} from './proof/support/world.ts';

let world: World;
let resource: PlanResource;
let sound: RecoveryPoint;

const isRoot = process.getuid?.() === 0;
const source = (...names: string[]): string => world.at('srv', 'uploads', ...names);

before(async () => {
  world = await createWorld('directory');
  makeTree();
  // What the estate names may lead elsewhere.
  symlinkSync('srv', world.at('linked'));
  resource = {
    ...{ name: 'uploads', driver: 'directory', shared: { exclude: ['*.tmp', '/cache'] } },
    sites: { [site]: { path: world.at('linked', 'uploads') }, beijing: { path: world.at('beijing', 'files') } },
  };
  sound = await save();
});
after(() => world[Symbol.asyncDispose]());

function makeTree(): void {
  mkdirSync(source('letters', 'cache'), { recursive: true });
  for (let i = 0; i < 12; i++) {
    writeFileSync(source('letters', `${i}.txt`), `letter ${i}, all is well\n`.repeat(100));
  }
  writeFileSync(source('letters', 'cache', 'kept'), 'not the one at the top');
  mkdirSync(source('cache'));
  writeFileSync(source('cache', 'left-out'), 'made again when it is wanted');
  writeFileSync(source('half.tmp'), 'left out, too');
  linkSync(source('letters', '0.txt'), source('hard'));
  symlinkSync('letters/1.txt', source('soft'));
  const holes = openSync(source('holes'), 'w', 0o640);
  writeSync(holes, 'at the end', 8 * 2 ** 20);
  closeSync(holes);
  execFileSync('mkfifo', [source('pipe')]);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'of a file', source('letters', '2.txt')]);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'of the directory', source()]);
  if (isRoot) for (const name of ['letters/3.txt', 'letters']) chownSync(source(name), 1234, 4321);
  chmodSync(source('letters', '3.txt'), 0o4750);
  chmodSync(source(), 0o751);
  utimesSync(source(), 1_700_000_000, 1_700_000_000);
}

const orderOf = (more: Partial<BackupOrder> = {}): BackupOrder => ({
  ...{ service, resource, site, vault: world.vault, startedBy: 'test' },
  ...more,
});

function save(more: Partial<BackupOrder> = {}, heartbeat?: (progress: unknown) => void): Promise<RecoveryPoint> {
  return saveBackup(orderOf(more), contextOf({ world, ...(heartbeat && { heartbeat }) }));
}

/** Another directory of the service with a vault of the world, for a test that changes what is in it. */
function another(name: string, fill: (at: (file: string) => string) => void): PlanResource {
  const directory = world.at('srv', name);
  mkdirSync(directory);
  fill((file) => path.join(directory, file));
  return { name, driver: 'directory', shared: {}, sites: { [site]: { path: directory } } };
}

test('a point of a directory is complete, and says what it is of', async () => {
  const { status, kind, files, facts, problems, site: readAt } = sound;
  assert.deepEqual(
    { status, kind, problems, readAt },
    { status: 'complete', kind: 'directory', problems: [], readAt: site },
  );
  // 12 letters, what is in their cache, the hard link and the file with holes.
  assert.equal(files, 15);
  assert.equal(facts['path'], source());
  assert.ok(sound.takenAtMs >= sound.startedAtMs && sound.takenAtMs <= sound.endedAtMs);
  assert.deepEqual((await listPoints(orderOf()))[0], sound);
});

test('a second point of what has not changed adds next to nothing, and holds as much', async () => {
  const again = await save();
  assert.equal(again.files, sound.files);
  assert.equal(again.sizeBytes, sound.sizeBytes);
  assert.ok(again.addedBytes < 2_000, `${again.addedBytes}`);
});

interface Seen {
  rest: unknown;
  mtimeMs: number;
}

/** What a person would miss, by name; `.` is the directory itself. */
function picture(directory: string): Map<string, Seen> {
  const names = ['.', ...(readdirSync(directory, { recursive: true }) as string[])];
  return new Map(
    names.toSorted().map((name): [string, Seen] => {
      const at = path.join(directory, name);
      const stats = lstatSync(at);
      const { mode, uid, gid, nlink, mtimeMs, size } = stats;
      const kept = { mode, uid, gid, links: stats.isFile() ? nlink : 1, size: stats.isFile() ? size : 0 };
      const link = stats.isSymbolicLink() ? readlinkSync(at) : null;
      return [name, { rest: { ...kept, link }, mtimeMs }];
    }),
  );
}

function assertSameTree(restored: string): void {
  const [wanted, found] = [picture(source()), picture(restored)];
  for (const name of wanted.keys()) if (/\.tmp$|^cache/.test(name)) wanted.delete(name);
  assert.deepEqual([...found.keys()], [...wanted.keys()]);
  for (const [name, { rest, mtimeMs }] of wanted) {
    assert.deepEqual(found.get(name)!.rest, rest, name);
    assert.ok(Math.abs(found.get(name)!.mtimeMs - mtimeMs) < 0.01, name);
  }
  const noteOf = (at: string): string => execFileSync('getfattr', ['-n', 'user.note', '--only-values', at]).toString();
  assert.equal(noteOf(restored), 'of the directory');
  assert.equal(noteOf(path.join(restored, 'letters/2.txt')), 'of a file');
  assert.ok(lstatSync(path.join(restored, 'holes')).blocks * 512 < 2 ** 20, 'the holes are no holes any more');
  assert.equal(lstatSync(path.join(restored, 'hard')).ino, lstatSync(path.join(restored, 'letters/0.txt')).ino);
}

function restoring(into: string, more: Partial<RestoreOrder> = {}): Promise<{ note: string; restoredBytes: number }> {
  const order: RestoreOrder = {
    ...orderOf(),
    ...{ point: { kind: 'newest' }, target: { kind: 'point' }, into, ...more },
  };
  return restorePoint({ order, point: sound }, contextOf({ world }));
}

test('a restore brings the content back with owners, modes, links, holes, attributes and times, its own too', async () => {
  const into = world.at('came', 'back');
  assert.equal((await restoring(into)).note, '');
  assertSameTree(into);
});

test('a restore goes into an empty place only, and a directory has no log to replay', async () => {
  const taken = world.at('taken');
  mkdirSync(taken);
  writeFileSync(path.join(taken, 'letter'), 'mine');
  await assert.rejects(restoring(taken), { code: 'CONFIG_INVALID', message: /is not empty/ });
  assert.deepEqual(readdirSync(taken), ['letter']);
  await assert.rejects(restoring(world.at('later'), { target: { kind: 'latest' } }), { code: 'CONFIG_INVALID' });
});

test('a proof lays it down, reads it all again, and compares it with the last point', async () => {
  const proof = await attempt({ world, resource, point: sound, before: sound });
  assertProven(proof);
  const about = new Map(proof.findings.map(({ check, detail }) => [check, detail]));
  assert.match(about.get('files') ?? '', /^15 of 15 read again/);
  assert.match(about.get('change-rate') ?? '', /0 changed, 0 went, 0 are new/);
});

describe('what is doubtful makes a point partial, by name, and it is never proven:', () => {
  test('a file that changes while it is read', async () => {
    const changing = another('changing', (at) => {
      writeFileSync(at('calm'), 'calm');
      closeSync(openSync(at('shrinks'), 'w'));
      truncateSync(at('shrinks'), 4 * 2 ** 30);
    });
    let cut = false;
    const point = await save({ resource: changing }, (progress) => {
      const { bytesDone = 0 } = progress as { bytesDone?: number };
      if (cut || bytesDone < 2 ** 20) return;
      cut = true;
      truncateSync(world.at('srv', 'changing', 'shrinks'), 2 ** 20);
    });
    assert.equal(point.status, 'partial');
    assert.match(point.problems.join(), /changing\/shrinks: /);
    assertCaught(await attempt({ world, resource: changing, point }), {
      ...{ code: 'PROOF_FAILED', says: /is partial: .*changing\/shrinks/ },
    });
    rmSync(world.at('srv', 'changing', 'shrinks'));
    const next = await save({ resource: changing });
    assert.deepEqual([next.status, next.files], ['complete', 1]);
  });

  test('a file and a directory that may not be read', () => {
    const closed = another('closed', (at) => {
      writeFileSync(at('open'), 'everybody');
      writeFileSync(at('secret'), 'nobody', { mode: 0 });
      mkdirSync(at('cellar'), { mode: 0 });
    });
    const user = isRoot ? { uid: 65_534, gid: 65_534 } : {};
    const vault = vaultAt(world.at('of-another'));
    cpSync(world.at('vault'), vault.repository, { recursive: true });
    if (isRoot) execFileSync('chown', ['-R', '65534:65534', vault.repository]);
    const file = world.at('order.json');
    writeFileSync(file, JSON.stringify(orderOf({ resource: { ...closed, shared: { xattrs: false } }, vault })));
    const program = path.join(import.meta.dirname, 'support/save-program.ts');
    const told = execFileSync(process.execPath, [program, file], { ...user, encoding: 'utf8' });
    const point = JSON.parse(told) as RecoveryPoint;
    assert.deepEqual([point.status, point.files, point.problemCount], ['partial', 1, 2]);
    for (const name of ['secret', 'cellar'])
      assert.match(point.problems.join(), new RegExp(`closed/${name}: .*EACCES`));
  });

  const unusable: { name: string; make: (at: string) => void; says: RegExp }[] = [
    { name: 'one that is not there', make: () => undefined, says: /cannot be backed up \(ENOENT\)/ },
    { name: 'a file', make: (at) => writeFileSync(at, 'a file'), says: /is no directory/ },
    { name: 'a link that leads nowhere', make: (at) => symlinkSync('/nowhere/at/all', at), says: /\(ENOENT\)/ },
  ];
  for (const { name, make, says } of unusable) {
    test(`${name} is no point at all`, async () => {
      const at = world.at(name.replaceAll(' ', '-'));
      make(at);
      const wrong = { ...resource, sites: { [site]: { path: at } } };
      await assert.rejects(save({ resource: wrong }), { code: 'SOURCE_UNREADABLE', message: says });
    });
  }
});

test('files that were encrypted, and ones that went, raise the alarm; the same at another path does not', async () => {
  const filled = another('alarm', (at) => {
    for (let i = 0; i < 20; i++) writeFileSync(at(`${i}.txt`), `document ${i}: all is well\n`.repeat(200));
  });
  const first = await save({ resource: filled });
  cpSync(world.at('srv', 'alarm'), world.at('beijing', 'alarm'), { recursive: true, preserveTimestamps: true });
  const moved = { ...filled, sites: { ...filled.sites, beijing: { path: world.at('beijing', 'alarm') } } };
  const there = await save({ resource: moved, site: 'beijing' });
  assertProven(await attempt({ world, resource: moved, point: there, before: first }));
  for (let i = 0; i < 8; i++) writeFileSync(world.at('srv', 'alarm', `${i}.txt`), randomBytes(5_000));
  for (let i = 8; i < 20; i++) rmSync(world.at('srv', 'alarm', `${i}.txt`));
  const proof = await attempt({ world, resource: filled, point: await save({ resource: filled }), before: first });
  assertCaught(proof, { code: 'PROOF_FAILED', says: /change-rate alarm failed: of 20 files 8 changed, 12 went/ });
  assertCaught(proof, { code: 'PROOF_FAILED', says: /entropy alarm failed: of 8 changed files .* 8 look encrypted/ });
});

test('rules keep and drop its points, and a copy of the vault has those that are kept', async () => {
  const kept = another('kept', (at) => writeFileSync(at('file'), 'content'));
  await save({ resource: kept });
  const newest = await save({ resource: kept });
  const keep = [{ service, resource: kept.name, keep: { last: 1 } }];
  await pruneVault({ vault: world.vault, keep, dryRun: false, startedBy: 'test' }, contextOf({ world }));
  assert.deepEqual(await listPoints(orderOf({ resource: kept })), [newest]);
  const far = { ...vaultAt(world.at('far')), name: 'far' };
  await mirrorVault({ from: world.vault, to: far, startedBy: 'test' }, contextOf({ world }));
  const there = await listPoints(orderOf({ resource: kept, vault: far }));
  assert.deepEqual(
    there.map(({ snapshotId }) => snapshotId),
    [newest.snapshotId],
  );
});

describe('in a run', () => {
  function call(
    verb: Verb,
    { mode = 'graceful', token = 'run/2', op = 'perform' }: Call = {},
  ): Promise<PerformOutcome> {
    const vault = { ...world.vault } as unknown as JsonObject;
    const input = {
      ...{ runId: 'run', stepId: `${verb}-uploads`, verb, clocks: {}, args: {}, evidence: {}, attempt: 1 },
      ...{ token: `${token}/${verb}`, timeoutMs: 600_000 },
      resource: { ...resource, shared: { ...resource.shared, vault } },
      plan: { service, from: site, to: 'beijing', mode, kind: 'failover' },
    } as unknown as VerbInput;
    const context = { signal: new AbortController().signal, heartbeat: () => undefined, log: () => undefined };
    return Promise.resolve(directoryDriver.verbs[verb]![op]!(input, context));
  }
  interface Call {
    mode?: Mode;
    token?: string;
    op?: 'perform' | 'confirm';
  }
  const place = (): string => world.at('beijing', 'files');

  test('a check says that nothing has moved it, and what is there', async () => {
    await assert.rejects(call('check'), {
      code: 'SOURCE_UNREADABLE',
      message: /uploads is not moved, and .* is not there/,
    });
    await assert.rejects(call('verify'), { code: 'VERIFY_FAILED', message: /is not there/ });
    assert.equal((await call('restore', { op: 'confirm' })).status, 'not-yet');
  });

  test('a backup is made once however often its step is tried, and a restore brings it to the other site', async () => {
    assert.equal((await call('backup', { op: 'confirm' })).status, 'not-yet');
    const [made, again, confirmed] = [
      await call('backup'),
      await call('backup'),
      await call('backup', { op: 'confirm' }),
    ];
    const idOf = (outcome: PerformOutcome): unknown => outcome.status === 'done' && outcome.evidence['pointId'];
    assert.ok(typeof idOf(made) === 'string');
    assert.deepEqual([idOf(again), idOf(confirmed)], [idOf(made), idOf(made)]);
    // An attempt that was killed on its way has left its mark, and something of the content.
    mkdirSync(place(), { recursive: true });
    writeFileSync(path.join(place(), '.muster-restoring'), 'run/2/restore');
    writeFileSync(path.join(place(), 'hard'), 'half');
    assert.equal((await call('restore', { op: 'confirm' })).status, 'not-yet');
    await assert.rejects(call('verify'), { message: /restored in part only/ });
    await assert.rejects(call('restore', { token: 'another' }), { code: 'CONFIG_INVALID', message: /in part only/ });
    const restored = await call('restore');
    assert.equal(idOf(restored), idOf(made));
    assertSameTree(place());
    for (const verb of ['check', 'verify'] as const) assert.equal((await call(verb)).status, 'done');
    assert.equal((await call('restore', { op: 'confirm' })).status, 'done');
    await assert.rejects(call('restore'), { code: 'CONFIG_INVALID', message: /holds \d+ entries; it stays as it is/ });
  });
});
