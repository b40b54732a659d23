import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { recountSet } from '../../../storage-node/heal/recount.ts';
import { type DriveApi, DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { type Drive } from '../../../storage-node/store/drive.ts';
import { realHome } from '../store/drives.ts';
import { type IndexWrite } from '../../../storage-node/store/index-store.ts';
import { openLmdbIndex } from '../../../storage-node/store/lmdb-index.ts';
import { setOf } from '../support/memory-set.ts';
import { getObject, objectNode, putObject } from '../support/object-node.ts';

const body = randomBytes(3_000_000);
const last = 3;

/** A drive that takes the data of a write, and then none of the values that name it, as one that is full just then. */
function takesNoValue(drive: DriveApi): DriveApi {
  return Object.assign(Object.create(drive) as DriveApi, { accept: () => Promise.resolve({ kind: 'full' as const }) });
}

/** A drive that takes a value and never gets the shards that were staged for its healing named. */
function breaksRepairs(drive: DriveApi): DriveApi {
  const broken = (): Promise<never> => Promise.reject(new DriveUnavailable('the healer is gone'));
  return Object.assign(Object.create(drive) as DriveApi, { repair: broken });
}

/** A drive that answers nothing; what has no answer goes nowhere. */
const gone = new Proxy({ pin: () => ({ release: () => {} }), decide: () => {} } as unknown as DriveApi, {
  get: (own, name) => Reflect.get(own, name) ?? (() => Promise.reject(new DriveUnavailable('the drive is gone'))),
});

type Home = ReturnType<typeof realHome>;

async function withDrives(run: (drives: Drive[], homes: Home[]) => Promise<void>): Promise<void> {
  const homes = Array.from({ length: 4 }, realHome);
  const drives = await Promise.all(homes.map((home) => home.open()));
  try {
    await run(drives, homes);
  } finally {
    for (const drive of drives) await drive.close();
    for (const home of homes) home.remove();
  }
}

/** Takes the rows of its shards away from the last drive, and leaves it its registers. */
async function forgetData(drives: Drive[], homes: Home[]): Promise<void> {
  const home = homes[last]!;
  await drives[last]!.close();
  const index = openLmdbIndex(home.directory);
  const rows: IndexWrite[] = [];
  index.each({ table: 'data', from: Buffer.alloc(0) }, (key) => {
    rows.push({ table: 'data', key: Buffer.from(key), value: undefined });
    return true;
  });
  await index.write(rows);
  await index.close();
  drives[last] = await home.open();
}

/** Heals until a recount finds nothing short, ends the last drive's process, and reads without two of the others. */
async function proveHealed(drives: Drive[], homes: Home[]): Promise<void> {
  const healer = objectNode(setOf(drives, 0), 0);
  await recountSet(healer.heal, healer.set, { verify: false, heal: true });
  const proof = await recountSet(healer.heal, healer.set, { verify: false, heal: false });
  assert.deepEqual([proof.short, proof.complete], [0, true], proof.reasons.join());
  await drives[last]!.close();
  drives[last] = await homes[last]!.open();
  const reader = objectNode(setOf([gone, gone, drives[2]!, drives[last]], 2), 2);
  assert.ok((await getObject(reader, 'key')).equals(body));
}

test('data that a drive took without the value that names it is named when the drive is healed', () =>
  withDrives(async (drives, homes) => {
    const writer = objectNode(
      setOf(drives, 0, (drive, i) => (i === last ? takesNoValue(drive) : drive)),
      0,
    );
    await putObject(writer, 'key', body);
    await proveHealed(drives, homes);
  }));

test('data that a healer staged and did not live to have named is named by the next one', () =>
  withDrives(async (drives, homes) => {
    await putObject(objectNode(setOf(drives, 0), 0), 'key', body);
    // Its register stays and its shard goes, as after damage.
    await forgetData(drives, homes);
    const healer = objectNode(
      setOf(drives, 0, (drive, i) => (i === last ? breaksRepairs(drive) : drive)),
      0,
    );
    const tried = await recountSet(healer.heal, healer.set, { verify: false, heal: true });
    assert.equal(tried.short, 1);
    await proveHealed(drives, homes);
  }));
