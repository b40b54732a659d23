import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { startTemporal, type TestTemporal } from '../support/temporal.ts';

let temporal: TestTemporal;
let dir: string;
before(async () => {
  temporal = await startTemporal();
  dir = await mkdtemp(path.join(tmpdir(), 'muster-schedules-cli-'));
});
after(async () => {
  await temporal[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

const main = path.join(import.meta.dirname, '..', '..', 'cli', 'main.ts');

interface Ended {
  code: number;
  out: string;
  err: string;
}

const muster = (...args: string[]): Promise<Ended> => musterOf('muster.yaml', ...args);

function musterOf(estate: string, ...args: string[]): Promise<Ended> {
  const env = { ...process.env, TEMPORAL_ADDRESS: temporal.address, MUSTER_ESTATE: path.join(dir, estate) };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [main, ...args],
      { env: { ...env, NO_COLOR: '1', USER: 'ana' }, cwd: dir },
      (err, out, said) => {
        const code = err === null ? 0 : Number(err.code);
        resolve({ code, out, err: said });
      },
    );
  });
}

/** An estate for the real drivers. */
async function writeEstate(backup: Record<string, unknown>): Promise<void> {
  const postgres = (site: string): object => ({
    url: `env:${site}_URL`,
    replicationUrl: `env:${site}_R`,
    dataDir: `env:${site}_DIR`,
  });
  const orders = { driver: 'postgres', tables: ['orders'], east: postgres('EAST'), west: postgres('WEST') };
  const shop = {
    primary: 'east',
    standby: 'west',
    objectives: { rpoSeconds: 30, rtoSeconds: 120 },
    resources: { orders },
    backups: [{ resource: 'orders', every: '6h', to: 'vault', ...backup }],
  };
  const text = stringify({
    version: 1,
    control: { url: 'env:CONTROL', token: 'env:TOKEN' },
    sites: { east: {}, west: {} },
    vaults: { vault: { repository: '/backup/vault', password: 'env:PASSWORD', site: 'west' } },
    services: { shop },
  });
  await writeFile(path.join(dir, 'muster.yaml'), text);
}

const id = 'backup/shop/orders/vault';

test('apply, diff and schedules say and do the same, by people’s words and as JSON', async () => {
  await writeEstate({ keep: { daily: 7 } });
  const before = await muster('diff', 'muster.yaml');
  assert.equal(before.code, 1, before.err);
  assert.match(before.out, /^\+ backup\/shop\/orders\/vault {2}to create, 6h$/m);
  const applied = await muster('apply', 'muster.yaml', '--json');
  assert.equal(applied.code, 0, applied.err);
  assert.deepEqual((JSON.parse(applied.out) as { applied: string[] }).applied, [id, 'prune/vault']);
  const same = await muster('diff');
  assert.deepEqual([same.code, /no difference/.test(same.out)], [0, true]);

  await writeEstate({ keep: { daily: 14 }, every: '12h' });
  const changed = await muster('diff');
  assert.equal(changed.code, 1);
  assert.match(changed.out, /^~ backup\/shop\/orders\/vault {2}to change$/m);
  assert.match(changed.out, /^ {4}every: 6h → 12h$/m);
  assert.match(changed.out, /^ {4}order\.keep\[0\]\.keep\.daily: 7 → 14$/m);
  assert.match((await muster('apply', '--dry-run')).out, /dry run: nothing was done/);
  assert.match((await muster('apply')).out, /applied: 2 of 2/);

  const paused = await muster('schedules', 'pause', id, '--why', 'the disk is being changed', '--json');
  assert.equal(paused.code, 0, paused.err);
  assert.equal((JSON.parse(paused.out) as { note: string }).note, 'paused by ana: the disk is being changed');
  const drifted = await muster('diff', '--json');
  assert.equal(drifted.code, 1);
  const { steps } = JSON.parse(drifted.out) as { steps: { id: string; step: string }[] };
  assert.deepEqual(
    steps.map(({ step }) => step),
    ['drifted', 'same'],
  );
  const table = await muster('schedules');
  assert.equal(table.code, 0, table.err);
  assert.match(table.out, /^id +every +next +last result$/m);
  assert.match(table.out, /^backup\/shop\/orders\/vault +12h +– +none yet +paused \(paused by ana: the disk/m);
  assert.match(table.out, /^prune\/vault +daily +\d{4}-\d\d-\d\d 05:0\dZ +none yet$/m);
  assert.equal((await muster('schedules', 'resume', id)).code, 0);
  assert.equal((await muster('diff')).code, 0);
});

test('of another estate file nothing is shown without --all, and that is said', async () => {
  await copyFile(path.join(dir, 'muster.yaml'), path.join(dir, 'other.yaml'));
  const { out } = await musterOf('other.yaml', 'schedules');
  assert.match(out, /^no schedules of other\.yaml: .* 2 of other estate files are shown by --all$/m);
});

test('who begins to archive WAL is told that it takes a base backup to use it', async () => {
  await writeEstate({ wal: 'stream' });
  const begun = /^WAL of shop\/orders is archived from now on; .*: muster backups now shop\/orders$/m;
  assert.match((await muster('apply')).out, begun);
  assert.doesNotMatch((await muster('apply')).out, begun);
});

test('a schedule that nobody has made, and an order without a name, are refused', async () => {
  const unknown = await muster('schedules', 'trigger', 'backup/shop/stock/vault');
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /SCHEDULE_UNKNOWN.*there is no schedule "backup\/shop\/stock\/vault"/);
  assert.equal((await muster('schedules', 'pause')).code, 2);
  await writeEstate({ to: 'vualt' });
  const wrong = await muster('apply');
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /no vault is named "vualt"\. Fix: did you mean "vault"\?/);
});
