import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { describe, test } from 'node:test';
import { directory, file, unusedPath } from './settings.ts';
import { run } from './run-command.ts';

const nowhere = unusedPath();
const ca = path.join(directory, 'ca');
const issue = (node: string, out: string, caDir = ca): string[] => [
  ...['certs', 'issue', '--ca-dir', caDir, '--node', node, '--out', out],
];

describe('a command is refused with the flag, the path and the fix', () => {
  const credentials = file('{"user": "admin", "password": "long enough"}');
  const rows: { args: string[]; says: string[] }[] = [
    { args: ['start', '--config', nowhere], says: ['--config', nowhere, 'is not there'] },
    { args: ['start', '--config', file('{"reserv": 1}')], says: ['"reserv"', 'did you mean "reserve"?', '--drives'] },
    { args: ['start', '--config', file('{"rootPassword": þþþþþþþþ}')], says: ['--config', 'is no JSON'] },
    { args: ['start', '--reserv', '1'], says: ["'--reserv'"] },
    { args: ['status', '--credentials', nowhere], says: ['--credentials', nowhere, 'is not there'] },
    { args: ['status', '--credentials', directory], says: ['--credentials', directory, 'is a directory'] },
    { args: ['status', '--credentials', file('þþþ')], says: ['--credentials', 'is no JSON such as'] },
    { args: ['status', '--credentials', file('{"user": "þþþ"}')], says: ['--credentials', 'is no JSON such as'] },
    { args: ['status', '--credentials', credentials, '--ca', nowhere], says: ['--ca', nowhere, 'is not there'] },
    { args: ['status', '--credentials', credentials, '--ca', file('þ')], says: ['--ca', 'PEM'] },
    {
      args: ['status', '--credentials', credentials, '--endpoint', 'node1:9000'],
      says: ['--endpoint', 'MUSTER_STORAGE_ENDPOINT', 'http://node1:9000', '"node1:9000"'],
    },
    { args: ['status', '--credentials', credentials, '--endpoint', 'http://::1:9000'], says: ['http://[::1]:9000'] },
    { args: issue('n1:9000', unusedPath(), nowhere), says: ['--ca-dir', path.join(nowhere, 'ca.crt'), 'is not there'] },
    { args: issue('n1', unusedPath()), says: ['--node', 'HOST:PORT'] },
    { args: issue('::1:9000', unusedPath()), says: ['--node', 'an IPv6 address stands in brackets'] },
    ...['0', '1e3', '0x10', ' 5 ', '', '1.5', 'Infinity', '36501'].map((days) => ({
      args: [...issue('n1:9000', unusedPath()), '--days', days],
      says: ['--days', 'a whole number from 1 to 36500', `"${days}"`],
    })),
    { args: ['dev', '--dir', nowhere, '--nodes', '1e0'], says: ['--nodes', 'from 1 to 1000'] },
  ];
  test('an authority is made first', async () => {
    const { code, err } = await run('certs', 'init', '--dir', ca);
    assert.deepEqual([code, err], [0, '']);
  });
  for (const { args, says } of rows) {
    test(args.map((arg) => (arg.startsWith(directory) ? path.basename(arg) : arg)).join(' '), async () => {
      const { code, err } = await run(...args);
      assert.equal(code, 2);
      for (const part of says) assert.ok(err.includes(part), err);
      assert.doesNotMatch(err, /þ/);
      assert.ok(!existsSync(nowhere));
    });
  }
});

describe('a certificate is made for the node as the drives name it', () => {
  const rows: { node: string; id: string; host: string }[] = [
    { node: 'Node1.example.com:9000', id: 'node1.example.com-9000', host: 'DNS:Node1.example.com' },
    { node: '10.0.0.1:9000', id: '10.0.0.1-9000', host: 'IP Address:10.0.0.1' },
    { node: '[::1]:9000', id: '0--1-9000', host: 'IP Address:0:0:0:0:0:0:0:1' },
    { node: '[2001:DB8::5]:9000', id: '2001-db8--5-9000', host: 'IP Address:2001:DB8:0:0:0:0:0:5' },
  ];
  for (const { node, id, host } of rows) {
    test(node, async () => {
      const out = unusedPath();
      const { code, err } = await run(...issue(node, out));
      assert.deepEqual([code, err], [0, '']);
      const { subjectAltName } = new X509Certificate(readFileSync(path.join(out, 'node.crt')));
      assert.equal(subjectAltName, `URI:muster://muster/node/${id}, ${host}`);
    });
  }
});
