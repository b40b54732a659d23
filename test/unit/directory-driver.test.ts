/** The driver `directory`: what its estate may say, and how a plan treats what it does not move. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { driverCatalogue as catalogue } from '../../activities/drivers/index.ts';
import { directoryAt, validateDirectory, vaultsOf } from '../../activities/drivers/directory/config.ts';
import { compile } from '../../runbooks/compile.ts';
import { drawText } from '../../runbooks/draw.ts';
import { parseEstate, type Estate } from '../../runbooks/estate.ts';
import { lint } from '../../runbooks/lint.ts';
import { backupOrderOf } from '../../runbooks/protection-orders.ts';
import { parseRunbook } from '../../runbooks/runbook.ts';
import { lossResources } from '../../workflows/engine/measure.ts';
import type { Json, Mode, Plan, PlanResource, PlanStep, RunKind } from '../../workflows/engine/plan.ts';
import { driven, fails, loss, ok } from '../support/drive.ts';
import { siteThatReads } from '../../workflows/engine/site-files.ts';

const sites = ['hangzhou', 'beijing'];
const paths = { hangzhou: { path: '/srv/uploads' }, beijing: { path: 'env:BEIJING_UPLOADS' } };

const entries: { name: string; entry: Json; at: string[] }[] = [
  { name: 'a path at each site', entry: { ...paths }, at: [] },
  {
    name: 'all that can be said',
    entry: { ...paths, exclude: ['*.tmp', '/cache/'], oneFileSystem: true, xattrs: false },
    at: [],
  },
  { name: 'no path at one site', entry: { hangzhou: paths.hangzhou }, at: ['beijing'] },
  {
    name: 'a path that does not begin at the root',
    entry: { ...paths, beijing: { path: 'srv' } },
    at: ['beijing.path'],
  },
  { name: 'a word that no site has', entry: { ...paths, beijing: { path: '/srv', user: 'li' } }, at: ['beijing.user'] },
  { name: 'a pattern that leaves out everything', entry: { ...paths, exclude: ['/'] }, at: ['exclude.0'] },
  { name: 'a pattern without its end', entry: { ...paths, exclude: ['a[b'] }, at: ['exclude.0'] },
  { name: 'a setting it does not have', entry: { ...paths, include: ['*'] }, at: ['include'] },
  { name: 'no mapping', entry: ['/srv'], at: [''] },
];
for (const { name, entry, at } of entries) {
  test(`the estate's entry of a directory: ${name}`, () => {
    const problems = validateDirectory(entry, sites);
    assert.deepEqual(
      problems.map(({ path }) => path.join('.')),
      at,
    );
    for (const { message, fix } of problems) assert.ok(message !== '' && fix !== '');
  });
}

test('where a directory lies is resolved in the process that reads it, and must begin at the root', () => {
  const resource: PlanResource = { name: 'uploads', driver: 'directory', shared: { exclude: ['*.tmp'] }, sites: paths };
  const env = { BEIJING_UPLOADS: '/data//uploads/' };
  assert.deepEqual(directoryAt(resource, 'beijing', env), {
    ...{ path: '/data/uploads', exclude: ['*.tmp'], oneFileSystem: false, xattrs: true },
  });
  assert.throws(() => directoryAt(resource, 'beijing', { BEIJING_UPLOADS: 'data' }), { code: 'CONFIG_INVALID' });
  assert.throws(() => directoryAt(resource, 'beijing', {}), { code: 'SECRET_MISSING' });
  assert.throws(() => directoryAt(resource, 'shanghai', env), { code: 'SITE_UNKNOWN' });
});

const plain = { name: 'uploads', driver: 'directory' };

function estateWith({ backups = 'to: vault', vaults = '', resources = '', agents = true } = {}): Estate {
  const agent = (site: string): string => (agents ? `{ agent: env:${site}_AGENT }` : '{}');
  const text = `version: 1
control: { url: env:CONTROL, token: env:TOKEN }
sites: { hangzhou: ${agent('A')}, beijing: ${agent('B')} }
vaults:
  vault: { repository: /backup/vault, password: env:P, site: hangzhou${vaults === '' ? '' : ', copyTo: far'} }
${vaults}
services:
  shop:
    primary: hangzhou
    standby: beijing
    objectives: { rpoSeconds: 5, rtoSeconds: 120 }
    resources:
      uploads:
        driver: directory
        hangzhou: { path: /srv/uploads }
        beijing: { path: /srv/uploads }
${resources === '' ? orders : resources}
${backups === '' ? '' : `    backups: [{ resource: uploads, every: daily, ${backups} }]`}
`;
  return parseEstate(text, 'muster.yaml', catalogue);
}
const orders = `      orders:
        driver: postgres
        tables: '*'
        hangzhou: { url: env:A_URL, dataDir: /data/a }
        beijing: { url: env:B_URL, dataDir: /data/b }`;
const far = '  far: { repository: /far/vault, password: env:P, site: beijing }';

test('a directory may be backed up, and is read by the agent of its site', () => {
  const { order } = backupOrderOf(estateWith(), { service: 'shop', resource: 'uploads' });
  assert.equal(order.resource.driver, plain.driver);
  assert.equal(siteThatReads(order), 'hangzhou');
  assert.equal(siteThatReads({ ...order, resource: { ...order.resource, driver: 'postgres' } }), null);
});

const refused: { name: string; given: Parameters<typeof estateWith>[0]; says: RegExp }[] = [
  {
    name: 'a log that it does not have',
    given: { backups: 'to: vault, wal: stream' },
    says: /backups\[0\]\.wal: "uploads" \(directory\) has no write-ahead log\. Fix: remove it/,
  },
  {
    name: 'no agent that could read it',
    given: { agents: false },
    says: /uploads\.hangzhou: lies at hangzhou, which has no agent to read it\. Fix: add "agent"/,
  },
  {
    name: 'nothing that a failover could move',
    given: { resources: '      # none' },
    says: /services\.shop\.resources: nothing in it is moved by a failover/,
  },
];
for (const { name, given, says } of refused) {
  test(`an estate with a directory is refused for ${name}`, () => {
    assert.throws(() => estateWith(given), { code: 'ESTATE_INVALID', message: says });
  });
}

function planOf(kind: RunKind, mode: Mode, estate = estateWith()): Plan {
  return compile({ estate, service: 'shop', kind, mode, epoch: 2, catalogue });
}

const checkStep = ({ steps }: Plan): PlanStep | undefined => steps.find(({ id }) => id === 'check-uploads');

for (const mode of ['graceful', 'ungraceful'] as const) {
  test(`a ${mode} failover looks at the directory beside everything else, waits for nothing of it, and says it is not moved`, () => {
    const plan = planOf('failover', mode);
    assert.deepEqual(
      plan.steps.filter(({ resource }) => resource === 'uploads').map(({ id }) => id),
      ['check-uploads'],
    );
    const { site, after, critical, onFailure, args, clock } = checkStep(plan)!;
    assert.deepEqual(
      { site, after, critical, onFailure, args, clock },
      { site: 'beijing', after: [], critical: false, onFailure: 'skip', args: { moved: false }, clock: null },
    );
    assert.ok(plan.steps.every((step) => !step.after.includes('check-uploads')));
    assert.match(drawText(plan), /check-uploads .* not moved/);
    assert.ok(lossResources(plan).unmeasured.includes('uploads'));
    const found = lint(plan, catalogue).filter(({ rule }) => rule === 'not-moved');
    assert.deepEqual(
      found.map(({ severity, stepId }) => [severity, stepId]),
      [['warning', 'check-uploads']],
    );
    assert.match(found[0]!.message, /uploads \(directory\) is not moved: beijing has of it what was restored there/);
  });
}

test('where the other site has nothing of the directory, a failover goes on and leaves a finding', () => {
  const d = driven(planOf('failover', 'ungraceful'));
  const findings: string[] = [];
  const take = (event: Parameters<typeof d.take>[0]): void => {
    for (const command of d.take(event)) {
      if (command.kind === 'record' && command.what === 'finding') findings.push(JSON.stringify(command.data['text']));
      if (command.kind === 'perform') waiting.push(command.stepId);
    }
  };
  const waiting: string[] = [];
  const done: string[] = [];
  take({ kind: 'started' });
  for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
    done.push(id);
    take(id === 'check-uploads' ? fails(id) : id.startsWith('observe') || id === 'check-orders' ? loss(id, 0) : ok(id));
  }
  assert.ok(done.includes('check-uploads') && done.includes('promote-orders') && done.includes('verify-orders'));
  assert.deepEqual(findings, ['"check-uploads failed and the run went on: no answer"']);
  assert.deepEqual([d.run.status, d.run.reason], ['finished', null]);
});

test('neither a drill nor a reprotection touches a directory', () => {
  for (const kind of ['drill', 'reprotect'] as const) {
    const plan = planOf(kind, 'graceful');
    assert.deepEqual(
      plan.steps.filter(({ resource }) => resource === 'uploads'),
      [],
    );
  }
});

const runbookText = `# Takes the uploads along.
kind: failover
service: shop
steps:
  - check: orders
  - fence: orders
  - backup: uploads
    ungraceful: false
  - observe: orders
  - promote: orders
  - restore: uploads
    within: 2h
  - verify: orders
  - verify: uploads
  - gate: Commit?
    id: commit
`;

function written(estate: Estate, mode: Mode, text = runbookText): Plan {
  const runbook = parseRunbook(text, 'move.yaml', estate, catalogue);
  return compile({ estate, service: 'shop', kind: 'failover', mode, epoch: 2, catalogue, runbook });
}

test('a runbook may move a directory: saved at the site that is left, restored from a vault that is still there', () => {
  const estate = estateWith({ vaults: far });
  const graceful = written(estate, 'graceful');
  assert.deepEqual(
    graceful.steps
      .filter(({ resource }) => resource === 'uploads')
      .map(({ verb, site, effect }) => [verb, site, effect]),
    [
      ['backup', 'hangzhou', 'change'],
      ['restore', 'beijing', 'change'],
      ['verify', 'beijing', 'read'],
    ],
  );
  assert.equal(graceful.steps.find(({ id }) => id === 'verify-orders')?.clock, 'verified');
  const ungraceful = written(estate, 'ungraceful');
  assert.ok(!ungraceful.steps.some(({ verb }) => verb === 'backup'));
  const uploads = ungraceful.resources.find(({ name }) => name === 'uploads')!;
  const { vault, survivingVault } = vaultsOf(uploads);
  assert.deepEqual([vault?.name, survivingVault?.name], ['vault', 'far']);
  assert.deepEqual(vault?.password, 'env:P');
  for (const plan of [graceful, ungraceful]) assert.deepEqual(lint(plan, catalogue), []);
  assert.deepEqual(lossResources(graceful).unmeasured, []);
});

test('a restore in a runbook wants a vault, and one that is not lost with the site', () => {
  assert.throws(() => written(estateWith({ backups: '' }), 'graceful'), {
    code: 'PLAN_UNSAFE',
    message: /move\.yaml:11: restore-uploads: uploads is in no vault .*Fix: add \{ resource: uploads/,
  });
  const found = lint(written(estateWith(), 'ungraceful'), catalogue);
  assert.deepEqual(
    found.map(({ rule, severity }) => [rule, severity]),
    [['vault-survives', 'warning']],
  );
});

test('a drill that would restore a directory over the real one is no plan', () => {
  const estate = estateWith();
  const text = 'kind: drill\nservice: shop\nsteps:\n  - restore: uploads\n  - verify: uploads\n';
  const runbook = parseRunbook(text, 'drill.yaml', estate, catalogue);
  const input = { estate, service: 'shop', kind: 'drill', mode: 'graceful', epoch: 2, catalogue, runbook } as const;
  assert.throws(() => compile(input), {
    code: 'PLAN_UNSAFE',
    message: /the drill would restore uploads for real .*rule stationary-in-drill/,
  });
});
