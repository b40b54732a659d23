/** Values that were taken though they cannot work, wherever they come from. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { loadConfig, type SettingName, settingNames, type Settings } from '../../../storage-node/config.ts';
import { certified, certsDir, directory, envOf, file, flagOf, good, refusalOf, unusedPath } from './settings.ts';

/** Refused with one problem that holds the parts. */
function refusedWith(settings: Settings, env: NodeJS.ProcessEnv, parts: readonly string[]): string {
  const message = refusalOf(() => loadConfig(settings, env));
  for (const part of parts) assert.ok(message.includes(part), message);
  assert.equal(message.split('\n').length, 2, `one thing is wrong: ${message}`);
  return message;
}

describe('a number is plain digits within bounds that the message names', () => {
  const bounds: [SettingName, string][] = [
    ['reserve', 'from 0 to 1000000000'],
    ['healRate', 'from 0 to 1000000'],
    ['scrubHours', 'from 0.1 to 8760'],
  ];
  const never = [
    '',
    ' ',
    ' 5 ',
    '5 ',
    'Infinity',
    'NaN',
    '0x10',
    '1e3',
    '+5',
    '-1',
    '1_000',
    '1,5',
    '.5',
    '5.',
    '5MiB',
  ];
  const more: Partial<Record<SettingName, string[]>> = {
    reserve: ['1000000001', '9'.repeat(400)],
    healRate: ['1000001'],
    scrubHours: ['0', '0.0', '0.09', '8760.1'],
  };
  for (const [name, says] of bounds) {
    for (const text of [...never, ...(more[name] ?? [])]) {
      test(`${flagOf(name)} ${JSON.stringify(text.slice(0, 20))} is none`, () => {
        refusedWith({ ...good, [name]: text }, {}, [flagOf(name), settingNames[name], says]);
        if (text !== '') refusedWith(good, envOf({ [name]: text }), [flagOf(name), says]);
      });
    }
  }

  test('the bounds themselves are taken', () => {
    const least = loadConfig({ ...good, reserve: '0', healRate: '0', scrubHours: '0.1' }, {});
    assert.deepEqual([least.reserveBytes, least.healBytesPerSecond, least.scrubEveryHours], [0, 0, 0.1]);
    const most = loadConfig({ ...good, reserve: '1000000000', healRate: '1000000', scrubHours: '8760' }, {});
    assert.ok(Number.isSafeInteger(most.reserveBytes));
    assert.equal(most.scrubEveryHours, 8760);
    assert.ok(Number.isInteger(loadConfig({ ...good, reserve: '0.1' }, {}).reserveBytes), 'bytes are whole');
  });
});

describe('plain calls are asked for with yes or no', () => {
  for (const text of ['', 'on', 'True', '2', ' true', 'oui']) {
    test(`${JSON.stringify(text)} is neither`, () =>
      void refusedWith({ ...good, plainRpc: text }, {}, ['--plain-rpc', 'true or false']));
  }
});

describe('the name of the account can stand in a credential scope', () => {
  const signs = [
    'a/b',
    'a:b1',
    'a,b1',
    'a=b1',
    'a b1',
    ' ab1',
    'ab1\t',
    'ab\n1',
    'ab\0c',
    'ab\x7fc',
    'ab\u00a0c',
    'bücher',
  ];
  for (const text of signs) {
    test(`${JSON.stringify(text)} is refused for its characters`, () =>
      void refusedWith({ ...good, rootUser: text }, {}, ['--root-user', 'MUSTER_ROOT_USER', '/ : , =']));
  }
  for (const length of [0, 1, 2, 129, 5000]) {
    test(`${length} characters are too few or too many`, () =>
      void refusedWith({ ...good, rootUser: 'x'.repeat(length) }, {}, ['at least 3 and at most 128']));
  }
  for (const text of ['abc', 'x'.repeat(128), 'a.b-c_d@e+f', 'AKIA0123456789']) {
    test(`${text.slice(0, 20)} is taken`, () =>
      assert.equal(loadConfig({ ...good, rootUser: text }, {}).rootUser, text));
  }
});

describe('domains are DNS names', () => {
  const taken: [string, string[]][] = [
    ['', []],
    [' , ', []],
    ['s3.example.com', ['s3.example.com']],
    [' S3.Example.COM , oss.example.com,', ['s3.example.com', 'oss.example.com']],
    ['localhost', ['localhost']],
    [`${'a'.repeat(63)}.b`, [`${'a'.repeat(63)}.b`]],
  ];
  for (const [text, domains] of taken) {
    test(`${JSON.stringify(text)} are ${domains.join(' and ') || 'none'}`, () =>
      assert.deepEqual(loadConfig({ ...good, domains: text }, {}).domains, domains));
  }
  const refused = [
    ...['*.example.com', '.example.com', 'example.com.', 'a..b', '-a.b', 'a-.b', 'a_b.c', 'a b', 'bücher.example'],
    ...['example.com:9000', 'http://example.com', '127.0.0.1', '::1', '[::1]', `${'a'.repeat(64)}.b`],
    Array(64).fill('abcd').join('.'),
  ];
  for (const text of refused) {
    test(`${text.slice(0, 30)} is none, and shown`, () =>
      void refusedWith({ ...good, domains: `ok.example.com, ${text}` }, {}, [
        '--domains',
        'MUSTER_DOMAINS',
        `"${text}"`,
      ]));
  }
});

describe('where the node listens', () => {
  const taken: [string, string][] = [
    ['10.0.0.1', '10.0.0.1'],
    ['::', '::'],
    ['[::1]', '::1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['node1.example.com', 'node1.example.com'],
  ];
  for (const [bind, host] of taken) {
    test(`${bind} is ${host}`, () => assert.equal(loadConfig({ ...good, bind }, {}).bindHost, host));
  }
  for (const bind of ['', '10.0.0.1:9000', '[::1]:9000', '[10.0.0.1]', '[::g]', 'http://n1', 'n1/', ' ::1']) {
    test(`${JSON.stringify(bind)} is no place to listen`, () =>
      void refusedWith({ ...good, bind }, {}, ['--bind', 'MUSTER_BIND', 'ports come from the drives']));
  }
});

test('an empty text is refused rather than taken for one', () => {
  for (const name of ['region', 'clusterId'] as const)
    refusedWith({ ...good, [name]: '' }, {}, [flagOf(name), 'is empty']);
});

const mayReadAll = process.getuid?.() === 0;
const locked = (content: string): string => {
  const name = file(content);
  chmodSync(name, 0);
  return name;
};
const dangling = unusedPath();
symlinkSync(unusedPath(), dangling);

describe('a file that a variable names and that gives no value', () => {
  const rows: { name: string; at: string; says: string; skip?: string | false }[] = [
    { name: 'none', at: unusedPath(), says: 'is not there' },
    { name: 'a link to none', at: dangling, says: 'is not there' },
    { name: 'a directory', at: directory, says: 'is a directory; name the file in it' },
    { name: 'a file below a file', at: `${file('x')}/y`, says: 'is not there' },
    { name: 'an empty file', at: file(''), says: 'is empty' },
    { name: 'a file of blanks', at: file(' \n\n'), says: 'is empty' },
    {
      ...{ name: 'a file that may not be read', at: locked('þþþþþþþþ'), says: 'this user may not read' },
      skip: mayReadAll && 'root may read everything',
    },
  ];
  for (const { name, at, says, skip = false } of rows) {
    for (const setting of ['rootPassword', 'rootUser', 'reserve', 'drives', 'node'] as const) {
      test(`${settingNames[setting]}_FILE with ${name}`, { skip }, () => {
        const rest = { ...good };
        delete rest[setting];
        const message = refusedWith(rest, envOf({ [setting]: at }, '_FILE'), [
          `${settingNames[setting]}_FILE`,
          at,
          says,
        ]);
        assert.doesNotMatch(
          message,
          /must be set|is missing|this machine|þ/,
          'the value is there, it could only not be read',
        );
      });
    }
  }

  test('an empty name of a file is none', () => {
    assert.equal(loadConfig(good, { MUSTER_REGION_FILE: '' }).region, 'us-east-1');
  });

  test('a value from such a file that is wrong is said to be from there', () => {
    refusedWith(good, { MUSTER_SCRUB_HOURS_FILE: file('0\n') }, ['--scrub-hours (MUSTER_SCRUB_HOURS_FILE)']);
  });
});

describe('certificates and keys that cannot be used name setting and path, and show nothing of a key', () => {
  const [one, other] = [certified('127.0.0.1-9000'), certified('127.0.0.1-9000')];
  const [cert, key] = [file(one.certificate), file(one.key)];
  const broken = '-----BEGIN PRIVATE KEY-----\nþþþþ\n-----END PRIVATE KEY-----\n';
  const clients: { name: string; tlsCert: string; tlsKey: string; says: string[] }[] = [
    { name: 'no certificate there', tlsCert: dangling, tlsKey: key, says: ['--tls-cert', dangling, 'is not there'] },
    { name: 'a directory', tlsCert: directory, tlsKey: key, says: ['--tls-cert', directory, 'is a directory'] },
    { name: 'no path', tlsCert: '', tlsKey: key, says: ['--tls-cert', 'is not there'] },
    { name: 'a key as certificate', tlsCert: key, tlsKey: key, says: ['--tls-cert', key, 'no certificate in PEM'] },
    { name: 'no key there', tlsCert: cert, tlsKey: dangling, says: ['--tls-key', dangling, 'is not there'] },
    { name: 'an empty key', tlsCert: cert, tlsKey: file(''), says: ['--tls-key', 'is empty'] },
    { name: 'no PEM', tlsCert: cert, tlsKey: file('þþþ'), says: ['--tls-key', 'no private key without passphrase'] },
    { name: 'a broken key', tlsCert: cert, tlsKey: file(broken), says: ['--tls-key', 'no private key'] },
    { name: 'a key for a path', tlsCert: cert, tlsKey: one.key, says: ['--tls-key', 'must be the path of a PEM file'] },
    {
      ...{ name: 'the key of another', tlsCert: cert, tlsKey: file(other.key) },
      says: ['--tls-key', 'is not the key of', cert],
    },
  ];
  for (const { name, tlsCert, tlsKey, says } of clients) {
    test(`for clients: ${name}`, () => {
      const message = refusedWith({ ...good, tlsCert, tlsKey }, {}, says);
      assert.doesNotMatch(message, /þ|PRIVATE KEY/);
    });
  }

  const right = certsDir();
  const mixed = (): string => {
    const name = certsDir();
    copyFileSync(path.join(right, 'node.key'), path.join(name, 'node.key'));
    return name;
  };
  const without = (missing: string): string => {
    const name = certsDir();
    rmSync(path.join(name, missing));
    return name;
  };
  const notPem = (): string => {
    const name = certsDir();
    writeFileSync(path.join(name, 'node.crt'), 'þ');
    return name;
  };
  const nodes: { name: string; at: string; says: string[] }[] = [
    { name: 'no directory', at: dangling, says: [path.join(dangling, 'ca.crt'), 'is not there'] },
    { name: 'no path', at: '', says: ['is empty'] },
    ...['ca.crt', 'node.crt', 'node.key']
      .map((missing) => ({ missing, at: without(missing) }))
      .map(({ missing, at }) => ({ name: `no ${missing}`, at, says: [path.join(at, missing), 'is not there'] })),
    { name: 'the key of another', at: mixed(), says: ['node.key is not the key of node.crt'] },
    { name: 'no PEM', at: notPem(), says: ['node.crt holds no certificate'] },
  ];
  for (const { name, at, says } of nodes) {
    test(`for nodes: ${name}`, () => {
      const settings = { ...good, plainRpc: 'no', certsDir: at };
      const message = refusedWith(settings, {}, ['--certs-dir', 'MUSTER_CERTS_DIR', at, ...says]);
      assert.doesNotMatch(message, /þ/);
    });
  }

  test('with plain calls nobody looks at them', () => {
    assert.equal(loadConfig({ ...good, certsDir: dangling }, {}).certsDir, dangling);
  });
});
