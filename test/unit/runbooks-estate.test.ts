import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { driverCatalogue } from '../../activities/drivers/index.ts';
import { compile } from '../../runbooks/compile.ts';
import { loadEstate, parseEstate } from '../../runbooks/estate.ts';
import { parseRunbook } from '../../runbooks/runbook.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { estateText, readRunbooksFile, readShopEstate, runbooksFolder, shopEstate } from '../support/estates.ts';

function refusalOf(act: () => unknown): MusterError {
  try {
    act();
  } catch (error) {
    if (error instanceof MusterError) return error;
    throw error;
  }
  return assert.fail('nothing was refused');
}

const parse = (text: string): unknown => parseEstate(text, 'muster.yaml', testCatalogue);

for (const name of ['sandbox.yaml', 'postgres-pair.yaml', 'protected-postgres.yaml'])
  test(`library/${name} is a valid estate whose plans are safe`, () => {
    const estate = parseEstate(readRunbooksFile(`library/${name}`), name, driverCatalogue);
    for (const service of Object.keys(estate.services))
      for (const kind of ['failover', 'failback', 'reprotect', 'drill'] as const)
        assert.ok(
          compile({ estate, service, kind, mode: 'graceful', epoch: 2, catalogue: driverCatalogue }).steps.length > 0,
        );
  });

test('the estate is plain data: sites, the parts of each resource, references as they are, defaults filled in', () => {
  const estate = parse(
    estateText(
      { policy: { declare: 'automatic' }, backups: [{ resource: 'orders', every: '6h', to: 'vault' }] },
      { vault: { repository: '/backup/vault', password: 'env:P' } },
    ),
  );
  assert.deepEqual(estate, {
    fileName: 'muster.yaml',
    control: { url: 'env:MUSTER_CONTROL_URL', token: 'env:MUSTER_AGENT_TOKEN' },
    sites: {
      hangzhou: { name: 'hangzhou', agentUrl: null, region: null },
      beijing: { name: 'beijing', agentUrl: null, region: null },
    },
    vaults: {
      vault: {
        name: 'vault',
        repository: '/backup/vault',
        password: 'env:P',
        site: null,
        verifyWithinSeconds: null,
        lockSeconds: null,
        prune: null,
        copy: null,
      },
    },
    copies: {},
    services: {
      shop: {
        name: 'shop',
        primary: 'hangzhou',
        standby: 'beijing',
        objectives: { rpoSeconds: 5, rtoSeconds: 120 },
        level: null,
        policy: {
          declare: 'automatic',
          holdSeconds: 3,
          leaseSeconds: 10,
          probeSeconds: 1,
          cooldownSeconds: 3600,
          commit: 'automatic',
        },
        approvers: { rpo: [], commit: [], fence: [] },
        resources: [
          {
            name: 'orders',
            driver: 'postgres',
            after: [],
            sites: { hangzhou: { url: 'env:A' }, beijing: { url: 'env:B' } },
            shared: {},
          },
        ],
        backups: [
          {
            resource: 'orders',
            every: '6h',
            at: null,
            keep: {},
            to: 'vault',
            restoreTest: null,
            wal: null,
            jitterSeconds: null,
            catchUpSeconds: null,
            references: [],
          },
        ],
        drills: [],
      },
    },
  });
});

const invalid = readdirSync(path.join(runbooksFolder, 'invalid')).filter((name) => name.endsWith('.yaml'));
assert.ok(invalid.length > 10);

for (const name of invalid)
  test(`invalid/${name} is refused with exactly the errors it announces`, () => {
    const text = readRunbooksFile(`invalid/${name}`);
    const [code, ...expected] = text.split('\n').flatMap((line) => /^# expect (.+)$/.exec(line)?.[1] ?? []);
    const refusal = refusalOf(() =>
      name.startsWith('estate-') ? parseEstate(text, name, testCatalogue) : compileText(text, name),
    );
    assert.equal(refusal.code, code);
    assert.deepEqual(
      refusal.message.split('\n').map((line) => line.slice(name.length + 1).trim()),
      expected,
    );
    assert.ok(refusal.message.split('\n').every((line) => line.startsWith(`${name}:`)));
    assert.doesNotMatch(refusal.message, /hunter2|22222222/);
  });

function compileText(text: string, fileName: string): unknown {
  const estate = shopEstate();
  const runbook = parseRunbook(text, fileName, estate, testCatalogue);
  const { kind, service } = runbook;
  return compile({ estate, service, kind, mode: 'graceful', epoch: 2, runbook, catalogue: testCatalogue });
}

/** The YAML of a page of docs/, in order. */
function examplesOf(page: string): string[] {
  const text = readFileSync(path.join(runbooksFolder, '..', 'docs', page), 'utf8');
  return [...text.matchAll(/^```yaml\n([^]*?)^```$/gm)].map((match) => match[1] ?? '');
}

test('the examples of docs/estate.md and docs/runbooks.md are valid, and the runbook is for that estate', () => {
  // After the whole example come resources that it could have as well.
  const [example = '', ...resources] = examplesOf('estate.md');
  const withAll = example + resources.join('').replace(/^/gm, '      ').trimEnd();
  const all = parseEstate(withAll, 'estate.md', driverCatalogue).services['shop']?.resources;
  assert.ok(all?.some(({ name }) => name === 'receipts'));
  const estate = parseEstate(example, 'estate.md', driverCatalogue);
  const runbooks = examplesOf('runbooks.md').map((text) => parseRunbook(text, 'runbooks.md', estate, driverCatalogue));
  assert.equal(runbooks.length, 1);
  for (const runbook of runbooks)
    for (const mode of ['graceful', 'ungraceful'] as const) {
      const { kind, service } = runbook;
      assert.ok(compile({ estate, service, kind, mode, epoch: 2, runbook, catalogue: driverCatalogue }).hash !== '');
    }
});

const broken = [
  { name: 'an unclosed bracket', text: 'version: 1\nsites: [a\nservices: {}\n', at: '3:1', says: 'bracket' },
  { name: 'an unclosed quote', text: 'version: "1\n', at: '2:1', says: 'quote' },
  {
    name: 'junk after a quoted secret',
    text: 'control: { token: "env:X" hunter2 }\n',
    at: '1:27',
    says: 'not valid YAML',
  },
  { name: 'a key that stands twice', text: 'version: 1\nversion: 1\n', at: '2:1', says: 'twice' },
  { name: 'a tab', text: 'sites:\n\thangzhou: {}\n', at: '2:1', says: 'tab' },
  { name: 'two colons', text: 'version: a: b\n', at: '1:10', says: 'quotes' },
  { name: 'two documents', text: 'version: 1\n---\nversion: 1\n', at: '2:1', says: 'second document' },
  { name: 'an alias of nothing', text: 'version: 1\nsites: *hunter2\n', at: '2:8', says: 'alias' },
  { name: 'a merge of no mapping', text: 'version: 1\nsites: { <<: hunter2 }\n', at: '2:10', says: 'merge' },
  { name: 'an anchor that holds itself', text: 'sites: &a { b: *a }\n', at: '1:1', says: 'alias' },
  { name: 'a key that is a list', text: '? [hunter2]\n: 1\n', at: '1:3', says: 'key must be text' },
  { name: 'an empty file', text: '', at: '1:1', says: 'must be a mapping' },
  { name: 'a list', text: '- hunter2\n', at: '1:1', says: 'must be a mapping' },
  {
    name: 'a secret where a key was meant',
    text: 'control: { url: env:X, hunter2 hunter2 }\n',
    at: '1:24',
    says: 'unknown key',
  },
];

for (const { name, text, at, says } of broken)
  test(`${name} is named by line and column and not quoted`, () => {
    const { code, message } = refusalOf(() => parse(text));
    assert.equal(code, 'ESTATE_INVALID');
    const line = message.split('\n').find((l) => l.startsWith(`muster.yaml:${at}: `));
    assert.ok(line?.includes(says), message);
    assert.doesNotMatch(message, /hunter2/);
  });

test('a file that is not there is an error of the estate that says what to do', () => {
  const { code, message } = refusalOf(() => loadEstate('no/such/muster.yaml', testCatalogue));
  assert.equal(code, 'ESTATE_INVALID');
  assert.match(message, /no\/such\/muster\.yaml: there is no such file\. Fix: /);
});

test('anchors and merges are plain YAML and may be used', () => {
  const text = readShopEstate()
    .replace('objectives: {', 'objectives: &goals {')
    .concat(
      '  mail:\n    primary: hangzhou\n    standby: beijing\n    objectives: { <<: *goals, rtoSeconds: 60 }\n',
      '    resources: { box: { driver: postgres, hangzhou: { url: env:A }, beijing: { url: env:B } } }\n',
    );
  const estate = parseEstate(text, 'muster.yaml', testCatalogue);
  assert.deepEqual(estate.services['mail']?.objectives, { rpoSeconds: 5, rtoSeconds: 60 });
});

test('names that every object has are names like others', () => {
  const text = estateText({ primary: 'constructor', resources: { orders: { driver: 'toString' } } });
  const { message } = refusalOf(() => parse(text));
  assert.match(message, /no site is named "constructor"/);
  assert.match(message, /no driver is named "toString"/);
});

test('a key with a slip anywhere is found at its line, with the key that was meant', () => {
  const lines = readShopEstate().split('\n');
  // Keys of Muster's own part of the file; the names and the drivers' keys below `resources` are not.
  const ours =
    /^ *(version|control|sites|services|primary|standby|objectives|level|policy|holdSeconds|resources|drills):/;
  const places = lines.flatMap((line, index) => (ours.test(line) ? [index] : []));
  assert.ok(places.length > 8);
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.nat(), (index, at) => {
      const key = ours.exec(lines[index] ?? '')?.[1] ?? '';
      const cut = 1 + (at % (key.length - 1));
      const slip = `${key.slice(0, cut)}x${key.slice(cut)}`;
      const text = lines.map((line, i) => (i === index ? line.replace(`${key}:`, `${slip}:`) : line)).join('\n');
      const { message } = refusalOf(() => parse(text));
      const found = message.split('\n').find((line) => line.includes(`did you mean "${key}"?`));
      assert.match(found ?? message, new RegExp(`^muster\\.yaml:${index + 1}:\\d+: .*${slip}: unknown key`));
      assert.doesNotMatch(message, new RegExp(`${key}: missing`));
    }),
    { numRuns: 50 },
  );
});

test('whatever the text, the answer is an estate or one ESTATE_INVALID, each line of which names the file', () => {
  const valid = readShopEstate();
  const cut = fc
    .tuple(fc.nat(valid.length), fc.nat(40), fc.string({ maxLength: 8 }))
    .map(([at, length, patch]) => valid.slice(0, at) + patch + valid.slice(at + length));
  fc.assert(
    fc.property(fc.oneof(cut, fc.string(), fc.json()), (text) => {
      try {
        parse(text);
      } catch (error) {
        assert.ok(error instanceof MusterError && error.code === 'ESTATE_INVALID', String(error));
        for (const line of error.message.split('\n')) assert.match(line, /^muster\.yaml:\d+:\d+: .+\. Fix: ./);
      }
    }),
    { numRuns: 150 },
  );
});

test('what a driver finds is placed in the file, and a plain secret is told of once', () => {
  const strict = {
    ...testCatalogue,
    proxy: {
      ...testCatalogue['proxy']!,
      validate: () => [
        { path: ['token'], message: 'the token must be a reference', fix: 'token: env:T' },
        { path: ['colour'], message: 'is no setting of a proxy', fix: 'remove it' },
        { path: ['beijing', 'upstream'], message: 'is not answering', fix: 'correct it' },
      ],
    },
  };
  const parts = ['token: hunter2', 'colour: blue', 'hangzhou: { upstream: env:A }', 'beijing: { upstream: env:B }'];
  const text = `${estateText({ resources: { entry: { driver: 'proxy' } } })}        ${parts.join('\n        ')}\n`;
  const { message } = refusalOf(() => parseEstate(text, 'muster.yaml', strict));
  const found = message
    .split('\n')
    .map((line) => line.replace(/^muster\.yaml:(\d+:\d+): services\.shop\.resources\.(.*?)\. Fix.*$/, '$1 $2'));
  const first = text.split('\n').findIndex((line) => line.includes('token: hunter2')) + 1;
  assert.deepEqual(found, [
    `${first}:16 entry.token: a secret stands here as a plain value`,
    `${first + 1}:9 entry.colour: is no setting of a proxy`,
    `${first + 3}:30 entry.beijing.upstream: is not answering`,
  ]);
});

test('no secret that stands in plain text is ever repeated, in whatever field', () => {
  const secret = fc.stringMatching(/^[a-zA-Z0-9]{12,20}$/).map((text) => `Zq${text}`);
  const hide = fc.constantFrom<(value: string) => string>(
    (value) => readShopEstate().replace('env:MUSTER_AGENT_TOKEN', value),
    (value) => readShopEstate().replace('env:MUSTER_ENTRY_TOKEN', value),
    (value) => readShopEstate().replace('env:MUSTER_HANGZHOU_ORDERS_URL', `postgres://m:${value}@h/d`),
    (value) => readShopEstate().replace('env:MUSTER_BEIJING_AGENT_URL', `http://a:${value}@h:1`),
  );
  fc.assert(
    fc.property(secret, hide, (value, put) => {
      const { message } = refusalOf(() => parse(put(value)));
      assert.ok(!message.includes(value), message);
      assert.match(message, /write a reference: env:MUSTER_\w+ or file:/);
    }),
    { numRuns: 40 },
  );
});
