import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  isLoopback,
  loadConfig,
  type NodeConfig,
  type SettingName,
  settingNames,
  type Settings,
} from '../../../storage-node/config.ts';
import { certsDir, certified, envOf, file, flagOf, good, inFile, refusalOf } from './settings.ts';

const names = Object.keys(settingNames) as SettingName[];
const pair = certified('127.0.0.1-9000');
const certs = [certsDir(), certsDir(), certsDir()];

/** Three values of each setting that can be told apart, and how. */
const values: Record<
  SettingName,
  { three: readonly string[]; read: (config: NodeConfig) => unknown; all: unknown[]; with?: Settings }
> = {
  drives: {
    three: ['a', 'b', 'c'].map((name) => `http://127.0.0.1:{9000...9003}/${name}`),
    read: ({ self }) => self.drives[0],
    all: ['/a', '/b', '/c'],
  },
  node: {
    three: ['127.0.0.1:9001', '127.0.0.1:9002', '127.0.0.1-9003'],
    read: ({ self }) => self.port,
    all: [9001, 9002, 9003],
  },
  rootUser: { three: ['one', 'two', 'three'], read: ({ rootUser }) => rootUser, all: ['one', 'two', 'three'] },
  rootPassword: {
    three: ['password one', 'password two', 'password three'],
    read: ({ rootPassword }) => rootPassword,
    all: ['password one', 'password two', 'password three'],
  },
  region: { three: ['eu-1', 'eu-2', 'eu-3'], read: ({ region }) => region, all: ['eu-1', 'eu-2', 'eu-3'] },
  certsDir: { three: certs, read: ({ certsDir }) => certsDir, all: certs, with: { plainRpc: 'no' } },
  plainRpc: {
    three: ['no', 'yes', '1'],
    read: ({ plainRpc }) => plainRpc,
    all: [false, true, true],
    with: { certsDir: certs[0]! },
  },
  clusterId: { three: ['one', 'two', 'three'], read: ({ clusterId }) => clusterId, all: ['one', 'two', 'three'] },
  // One certificate in three files, told apart by a line before it.
  tlsCert: {
    three: ['1', '2', '3'].map((note) => file(`${note}\n${pair.certificate}`)),
    read: ({ tls }) => tls?.cert,
    all: ['1', '2', '3'].map((note) => `${note}\n${pair.certificate}`),
    with: { tlsKey: file(pair.key) },
  },
  tlsKey: {
    three: ['1', '2', '3'].map((note) => file(`${note}\n${pair.key}`)),
    read: ({ tls }) => tls?.key,
    all: ['1', '2', '3'].map((note) => `${note}\n${pair.key}`),
    with: { tlsCert: file(pair.certificate) },
  },
  bind: {
    three: ['10.0.0.1', '10.0.0.2', '::'],
    read: ({ bindHost }) => bindHost,
    all: ['10.0.0.1', '10.0.0.2', '::'],
  },
  domains: { three: ['a.b,c.d', 'e', 'f'], read: ({ domains }) => domains, all: [['a.b', 'c.d'], ['e'], ['f']] },
  reserve: { three: ['1', '0', '1.5'], read: ({ reserveBytes }) => reserveBytes, all: [1_048_576, 0, 1_572_864] },
  healRate: {
    three: ['1', '0', '3'],
    read: ({ healBytesPerSecond }) => healBytesPerSecond,
    all: [1_048_576, 0, 3_145_728],
  },
  scrubHours: { three: ['1', '24', '0.5'], read: ({ scrubEveryHours }) => scrubEveryHours, all: [1, 24, 0.5] },
  logLevel: { three: ['warn', 'silent', 'trace'], read: ({ logLevel }) => logLevel, all: ['warn', 'silent', 'trace'] },
};

describe('a setting is what the flag says, else the variable, else the file', () => {
  test('each of them has a row here', () => assert.deepEqual(Object.keys(values).sort(), [...names].sort()));

  for (const name of names) {
    const { three, read, all, with: more } = values[name];
    const [flag, variable, last] = three.map((value): Settings => ({ [name]: value }));
    const content = inFile(last!);
    const rest = { ...good, ...more };
    delete rest[name];
    test(name, () => {
      assert.deepEqual(read(loadConfig({ ...rest, ...flag }, envOf(variable!), content)), all[0]);
      assert.deepEqual(read(loadConfig(rest, envOf(variable!), content)), all[1]);
      assert.deepEqual(read(loadConfig(rest, {}, content)), all[2]);
    });

    test(`${name} from a file that ${settingNames[name]}_FILE names, if ${settingNames[name]} is not set or empty`, () => {
      const named = envOf({ [name]: file(`${three[1]}\n`) }, '_FILE');
      assert.deepEqual(read(loadConfig(rest, named, content)), all[1]);
      assert.deepEqual(read(loadConfig(rest, { ...named, [settingNames[name]]: '' }, content)), all[1]);
      assert.deepEqual(read(loadConfig(rest, { ...named, ...envOf(flag!) }, content)), all[0]);
      assert.deepEqual(read(loadConfig({ ...rest, ...flag }, named, content)), all[0]);
    });
  }

  test('and else as it is documented, all from variables alone', () => {
    const { topology, self, rootUser, rootPassword, ...others } = loadConfig({}, envOf(good));
    assert.deepEqual(others, {
      ...{ region: 'us-east-1', clusterId: 'muster', certsDir: undefined, plainRpc: true, tls: undefined },
      ...{ bindHost: '127.0.0.1', domains: [], logLevel: 'info', scrubEveryHours: 168 },
      ...{ reserveBytes: 512 * 1024 * 1024, healBytesPerSecond: 200 * 1024 * 1024 },
    });
    assert.deepEqual([topology.nodes.length, self.id, rootUser], [4, '127.0.0.1-9000', 'admin']);
    assert.equal(rootPassword, 'long enough');
  });
});

interface Refusal {
  name: string;
  /** Changes to good settings; undefined takes one away. */
  change: Partial<Record<SettingName, string | undefined>>;
  /** The thing, the place, the fix. */
  says: string[];
}
const refusals: Refusal[] = [
  {
    name: 'no drives',
    change: { drives: undefined, node: undefined },
    says: ['--drives', 'MUSTER_DRIVES', 'is missing', 'http://node{1...4}'],
  },
  {
    name: 'drives that are no cluster',
    change: { drives: 'http://n{1...3}:9000/d' },
    says: ['3 nodes', '4 nodes would do'],
  },
  {
    name: 'a pattern that is none',
    change: { drives: 'http://n{1..4}:9000/d' },
    says: ['http://n{1..4}:9000/d', 'character 9', '{1...4}'],
  },
  {
    name: 'a node that is none',
    change: { node: 'elsewhere:1' },
    says: ['--node elsewhere:1', 'none of the nodes', '127.0.0.1-9000, 127.0.0.1-9001'],
  },
  {
    name: 'four nodes that could all be this one',
    change: { node: undefined },
    says: ['several of the nodes are this machine', '--node', '127.0.0.1-9003'],
  },
  {
    name: 'four nodes of which none is this one',
    change: { drives: 'http://n{1...4}.invalid:9000/d', plainRpc: undefined, certsDir: certs[0]!, node: undefined },
    says: ['none of the nodes is this machine', '--node', 'n1.invalid-9000'],
  },
  {
    name: 'no user',
    change: { rootUser: undefined },
    says: ['--root-user', 'MUSTER_ROOT_USER', 'at least 3', 'no default'],
  },
  { name: 'an empty user', change: { rootUser: '' }, says: ['--root-user', 'at least 3'] },
  { name: 'a short user', change: { rootUser: 'me' }, says: ['--root-user', 'at least 3'] },
  {
    name: 'no password',
    change: { rootPassword: undefined },
    says: ['--root-password', 'MUSTER_ROOT_PASSWORD', 'at least 8', 'no default'],
  },
  { name: 'an empty password', change: { rootPassword: '' }, says: ['--root-password', 'at least 8'] },
  { name: 'a short password', change: { rootPassword: 'secret7' }, says: ['--root-password', 'at least 8'] },
  {
    name: 'no certificates',
    change: { plainRpc: undefined },
    says: ['--certs-dir', 'MUSTER_CERTS_DIR', 'mutual TLS', 'muster storage-node certs'],
  },
  {
    name: 'plain calls between machines',
    change: { drives: 'http://10.0.0.{1...4}:9000/d', node: '10.0.0.1:9000' },
    says: ['--plain-rpc', 'MUSTER_PLAIN_RPC', 'loopback'],
  },
  {
    name: 'plain calls to one other machine',
    change: { drives: 'http://127.0.0.{1...3}:9000/d http://10.0.0.1:9000/d', node: '127.0.0.1:9000' },
    says: ['--plain-rpc', 'loopback'],
  },
  {
    name: 'a certificate without key',
    change: { tlsCert: file(pair.certificate) },
    says: ['--tls-cert', '--tls-key', 'both'],
  },
  { name: 'a key without certificate', change: { tlsKey: file(pair.key) }, says: ['--tls-cert', '--tls-key', 'both'] },
  {
    name: 'a certificate that is not there',
    change: { tlsCert: '/not/there.pem', tlsKey: file(pair.key) },
    says: ['--tls-cert', '/not/there.pem', 'is not there'],
  },
  {
    name: 'a reserve that is no number',
    change: { reserve: 'much' },
    says: ['--reserve', 'MUSTER_RESERVE_MIB', 'number'],
  },
  { name: 'a reserve below zero', change: { reserve: '-1' }, says: ['--reserve', 'from 0 to 1000000000'] },
  {
    name: 'a rate that is no number',
    change: { healRate: '5MB' },
    says: ['--heal-rate', 'MUSTER_HEAL_MIB_PER_SECOND', 'number'],
  },
  {
    name: 'hours that are no number',
    change: { scrubHours: 'weekly' },
    says: ['--scrub-hours', 'MUSTER_SCRUB_HOURS', 'number'],
  },
  {
    name: 'a level that is none',
    change: { logLevel: 'loud' },
    says: ['--log-level', 'MUSTER_LOG_LEVEL', 'trace, debug, info, warn, error, silent'],
  },
];

function changed(change: Refusal['change']): Settings {
  const all: Record<string, string | undefined> = { ...good, ...change };
  for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
  return all as Settings;
}

describe('settings that are not right are refused with the thing, the place and what would be right', () => {
  for (const { name, change, says } of refusals) {
    test(name, () => {
      const settings = changed(change);
      const message = refusalOf(() => loadConfig(settings, {}));
      for (const part of says) assert.ok(message.includes(part), message);
      assert.equal(message.split('\n').length, 2, `one thing is wrong: ${message}`);
      const inTheFile = refusalOf(() => loadConfig({}, {}, inFile(settings)));
      for (const part of says) assert.ok(inTheFile.includes(part), inTheFile);
      assert.equal(inTheFile.split('\n').length, 2, inTheFile);
    });
  }

  test('a file that a variable names and that is not there', () => {
    const message = refusalOf(() => loadConfig(good, { MUSTER_REGION_FILE: '/not/there' }));
    for (const part of ['MUSTER_REGION_FILE', '/not/there', 'not there']) assert.ok(message.includes(part), message);
  });

  test('all of them at once, whichever they are and wherever they stand', () => {
    // One of each setting, so that none hides another.
    const rows = refusals.filter(({ change }) => Object.keys(change).length === 1 && !('drives' in change));
    const place = fc.constantFrom('flag', 'variable', 'file');
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: rows.length - 1 }), { minLength: 1 }), place, (picked, where) => {
        const bySetting = new Map(picked.map((i) => [Object.keys(rows[i]!.change)[0], rows[i]!]));
        // Without both, plain calls and certificates are one fault; a lone key or certificate, too.
        if (bySetting.has('tlsCert')) bySetting.delete('tlsKey');
        const chosen = [...bySetting.values()];
        const settings = changed(Object.assign({}, ...chosen.map(({ change }) => change)) as Refusal['change']);
        const message = refusalOf(() =>
          where === 'flag'
            ? loadConfig(settings, {})
            : where === 'variable'
              ? loadConfig({}, envOf(settings))
              : loadConfig({}, {}, inFile(settings)),
        );
        for (const { says } of chosen) for (const part of says) assert.ok(message.includes(part), message);
        assert.equal(message.split('\n').length, 1 + chosen.length, message);
      }),
    );
  });

  test('nothing at all: drives, user and password have no default', () => {
    const message = refusalOf(() => loadConfig({}, {}));
    for (const name of ['drives', 'rootUser', 'rootPassword'] as const) {
      assert.ok(message.includes(flagOf(name)) && message.includes(settingNames[name]), message);
    }
  });
});

describe('a secret is never in what is said', () => {
  const wrong = { ...good, drives: 'http://n{1...3}:9000/d', logLevel: 'loud', reserve: 'x', node: 'y', tlsCert: 'z' };
  const places: Record<string, (secret: string) => string> = {
    'a flag': (secret) => refusalOf(() => loadConfig({ ...wrong, rootPassword: secret }, {})),
    'a variable': (secret) => refusalOf(() => loadConfig({}, envOf({ ...wrong, rootPassword: secret }))),
    'the file': (secret) => refusalOf(() => loadConfig({}, {}, inFile({ ...wrong, rootPassword: secret }))),
    'a file that a variable names': (secret) =>
      refusalOf(() =>
        loadConfig(
          {},
          { ...envOf(changed({ ...wrong, rootPassword: undefined })), MUSTER_ROOT_PASSWORD_FILE: file(secret) },
        ),
      ),
    'the key for TLS': (secret) => refusalOf(() => loadConfig({ ...wrong, tlsKey: file(secret) }, {})),
  };
  for (const [place, refusal] of Object.entries(places)) {
    test(`given by ${place}, long or short`, () => {
      // Letters no message has, so that one found is one told.
      const secrets = fc.string({ unit: fc.constantFrom('§', 'ß', 'þ', 'Ω'), minLength: 1, maxLength: 20 });
      fc.assert(
        fc.property(secrets, (secret) => {
          const message = refusal(secret);
          assert.match(message, /--log-level/);
          assert.doesNotMatch(message, /[§ßþΩ]/);
        }),
        { numRuns: 20 },
      );
    });
  }
});

describe('which node this is', () => {
  const rows: { name: string; drives: string; node?: string; port: number }[] = [
    { name: 'the only one', drives: '/data{1...4}', port: 9000 },
    { name: 'the one named by host and port', drives: good.drives!, node: '127.0.0.1:9002', port: 9002 },
    { name: 'the one named by its id', drives: good.drives!, node: '127.0.0.1-9002', port: 9002 },
    { name: 'the one named in other letters', drives: 'http://Node{1...4}:9000/d', node: 'nODE3:9000', port: 9000 },
    {
      name: "the one with this machine's name",
      drives: `http://${hostname()}:9100/d http://n{1...3}.invalid:9000/d`,
      port: 9100,
    },
  ];
  for (const { name, drives, node, port } of rows) {
    test(name, () => {
      const settings: Settings = { ...good, drives, plainRpc: 'no', certsDir: certs[0]! };
      if (node === undefined) delete settings.node;
      else settings.node = node;
      assert.equal(loadConfig(settings, {}).self.port, port);
    });
  }

  test('one machine alone needs no certificates, for it speaks with nobody', () => {
    const { certsDir, plainRpc, topology } = loadConfig(
      { ...changed({ plainRpc: undefined, node: undefined }), drives: '/d{1...4}' },
      {},
    );
    assert.deepEqual([certsDir, plainRpc, topology.singleMachine], [undefined, false, true]);
  });

  test('a node on loopback listens there, any other on all addresses', () => {
    const far: Settings = {
      ...good,
      drives: 'http://10.0.0.{1...4}:9000/d',
      node: '10.0.0.1:9000',
      plainRpc: 'no',
      certsDir: certs[0]!,
    };
    assert.equal(loadConfig(good, {}).bindHost, '127.0.0.1');
    assert.equal(loadConfig(far, {}).bindHost, '0.0.0.0');
  });
});

test('loopback is what never leaves the machine', () => {
  const rows: [string, boolean][] = [
    ['localhost', true],
    ['127.0.0.1', true],
    ['127.255.0.9', true],
    ['[::1]', true],
    ['127.0.0.1.example.com', false],
    ['localhost.example.com', false],
    ['10.0.0.1', false],
    ['0.0.0.0', false],
    ['example.com', false],
  ];
  for (const [host, loopback] of rows) assert.equal(isLoopback(host), loopback, host);
});
