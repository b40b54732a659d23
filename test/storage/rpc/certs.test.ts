import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  CertificateError,
  type CertifiedKey,
  createClusterCa,
  issueNodeCertificate,
  writeClusterCa,
  writeNodeFiles,
} from '../../../storage-node/rpc/certs.ts';
import { certifiedName } from '../../../storage-node/rpc/identity.ts';
import { followIdentity, loadIdentity } from '../../../storage-node/rpc/identity-files.ts';
import { realClock } from './loopback.ts';

const dayMs = 24 * 3600 * 1000;
const nowMs = Date.UTC(2026, 10, 21, 12, 0, 0);
const ca = createClusterCa({ clusterId: 'c1', days: 3650, nowMs });
const hosts = ['localhost', 'node-1.example.com', '127.0.0.1', '::1', 'fe80::1:2', '2001:db8:1:2:3:4:5:6'];
const node = issueNodeCertificate({ ca, clusterId: 'c1', nodeId: 'node-1', hosts, days: 1, nowMs });

let directory = '';
before(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'muster-certs-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

test('the authority is one, signs itself, and signs nothing that may sign further', () => {
  const authority = new X509Certificate(ca.certificate);
  assert.equal(authority.ca, true);
  assert.ok(authority.checkIssued(authority) && authority.verify(authority.publicKey));
  assert.equal(authority.validToDate.getTime(), nowMs + 3650 * dayMs);
  assert.equal(new X509Certificate(node.certificate).ca, false);
});

test('a node’s certificate is the authority’s, names the node and its hosts, and is good for both sides of TLS', () => {
  const certificate = new X509Certificate(node.certificate);
  const authority = new X509Certificate(ca.certificate);
  assert.ok(certificate.checkIssued(authority) && certificate.verify(authority.publicKey));
  assert.deepEqual(certifiedName(certificate), { clusterId: 'c1', nodeId: 'node-1' });
  for (const host of hosts) {
    assert.ok(certificate.checkHost(host) ?? certificate.checkIP(host), host);
  }
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(certificate.validFromDate.getTime(), nowMs - 5 * 60_000);
  assert.equal(certificate.validToDate.getTime(), nowMs + dayMs);
});

test('no two certificates have the same serial number or key', () => {
  const others = Array.from({ length: 20 }, (_, index) =>
    issueNodeCertificate({ ca, clusterId: 'c1', nodeId: `n${index}`, hosts: [], days: 1, nowMs }),
  ).map(({ certificate }) => new X509Certificate(certificate));
  assert.equal(new Set(others.map(({ serialNumber }) => serialNumber)).size, 20);
  assert.equal(new Set(others.map(({ publicKey }) => publicKey.export({ type: 'spki', format: 'pem' }))).size, 20);
  for (const { serialNumber } of others) assert.ok(serialNumber.length <= 40 && /^[4-7]/.test(serialNumber));
});

test('a certificate that ends after 2049 says so in the longer form', () => {
  const late = createClusterCa({ clusterId: 'c1', days: 365 * 40, nowMs });
  assert.equal(new X509Certificate(late.certificate).validToDate.getTime(), nowMs + 365 * 40 * dayMs);
});

test('openssl agrees, by its strict rules', (t) => {
  if (spawnSync('openssl', ['version']).status !== 0) return t.skip('openssl is not here');
  const files = path.join(directory, 'openssl');
  writeNodeFiles(files, node, [ca.certificate]);
  const at = String(nowMs / 1000);
  for (const purpose of ['sslserver', 'sslclient']) {
    const args = ['verify', '-x509_strict', '-attime', at, '-purpose', purpose, '-CAfile'];
    const said = execFileSync('openssl', [...args, path.join(files, 'ca.crt'), path.join(files, 'node.crt')]);
    assert.match(said.toString(), /OK/);
  }
  return undefined;
});

describe('what cannot stand in a certificate is refused', () => {
  const names = ['', 'Node', 'a/b', 'a,b', 'URI:x', '-a', 'a-', 'a'.repeat(64), 'a b', 'ä', 'a\n'];
  for (const name of names) {
    test(JSON.stringify(name), () => {
      assert.throws(() => createClusterCa({ clusterId: name, days: 1 }), CertificateError);
      const input = { ca, clusterId: 'c1', nodeId: name, hosts: [], days: 1 };
      assert.throws(() => issueNodeCertificate(input), CertificateError);
    });
  }
  for (const host of ['a,URI:muster://c1/node/2', 'a b', '', 'ä.example']) {
    test(`host ${JSON.stringify(host)}`, () => {
      const input = { ca, clusterId: 'c1', nodeId: '1', hosts: [host], days: 1 };
      assert.throws(() => issueNodeCertificate(input), CertificateError);
    });
  }
  test('an authority of another cluster', () => {
    assert.throws(
      () => issueNodeCertificate({ ca, clusterId: 'c2', nodeId: '1', hosts: [], days: 1 }),
      /not that of cluster c2/,
    );
  });
  test('a node’s certificate as an authority', () => {
    assert.throws(
      () => issueNodeCertificate({ ca: node, clusterId: 'c1', nodeId: '2', hosts: [], days: 1 }),
      CertificateError,
    );
  });
});

describe('files', () => {
  const fresh = (name: string, made: CertifiedKey = node, authorities: string[] = [ca.certificate]): string => {
    const files = path.join(directory, name);
    writeNodeFiles(files, made, authorities);
    return files;
  };

  test('keys are their owner’s alone, and nothing is left beside them', () => {
    const files = fresh('modes');
    writeClusterCa(path.join(directory, 'authority'), ca);
    assert.equal(statSync(path.join(files, 'node.key')).mode & 0o777, 0o600);
    assert.equal(statSync(path.join(directory, 'authority', 'ca.key')).mode & 0o777, 0o600);
    assert.equal(readFileSync(path.join(directory, 'authority', 'ca.key'), 'utf8'), ca.key);
  });

  test('are read back as the node they were made for, with every authority', () => {
    const second = createClusterCa({ clusterId: 'c1', days: 1 });
    const identity = loadIdentity(fresh('both', node, [second.certificate, ca.certificate]));
    assert.deepEqual(identity.name, { clusterId: 'c1', nodeId: 'node-1' });
    assert.equal(identity.authorities.length, 2);
    assert.equal(identity.expiresAtMs, nowMs + dayMs);
  });

  const wrong: { name: string; spoil: (files: string) => void; error: RegExp }[] = [
    { name: 'no key', spoil: (files) => rmSync(path.join(files, 'node.key')), error: /node\.key cannot be read/ },
    {
      name: 'the key of another',
      spoil: (files) => writeFileSync(path.join(files, 'node.key'), ca.key),
      error: /not the key of/,
    },
    {
      name: 'no key in the file',
      spoil: (files) => writeFileSync(path.join(files, 'node.key'), 'secret words'),
      error: /not the key of/,
    },
    {
      name: 'no certificate in the file',
      spoil: (files) => writeFileSync(path.join(files, 'node.crt'), 'x'),
      error: /holds no certificate/,
    },
    {
      name: 'the authority’s certificate',
      spoil: (files) => writeFileSync(path.join(files, 'node.crt'), ca.certificate),
      error: /not one of a node/,
    },
    {
      name: 'an authority that did not sign it',
      spoil: (files) =>
        writeFileSync(path.join(files, 'ca.crt'), createClusterCa({ clusterId: 'c1', days: 1 }).certificate),
      error: /no authority of ca\.crt signed/,
    },
  ];
  for (const [index, { name, spoil, error }] of wrong.entries()) {
    test(`that are wrong are named, and what is in them is not shown: ${name}`, () => {
      const files = fresh(`wrong-${index}`);
      spoil(files);
      assert.throws(
        () => loadIdentity(files),
        (thrown) => thrown instanceof CertificateError && error.test(thrown.message) && !/secret/.test(thrown.message),
      );
    });
  }

  test('that change are taken up; wrong ones are told of once and change nothing', () => {
    const files = fresh('followed');
    const complaints: string[] = [];
    const clock = { ...realClock, setTimer: () => ({ cancel() {} }) };
    const followed = followIdentity(files, { clock, everyMs: 1, failed: ({ message }) => complaints.push(message) });
    let changes = 0;
    const stop = followed.subscribe(() => changes++);
    followed.look();
    assert.equal(changes, 0);
    const renewed = issueNodeCertificate({ ca, clusterId: 'c1', nodeId: 'node-1', hosts: [], days: 2, nowMs });
    writeFileSync(path.join(files, 'node.key'), renewed.key);
    followed.look();
    followed.look();
    assert.deepEqual([changes, complaints.length], [0, 1]);
    assert.equal(followed.current().certificate, node.certificate);
    writeFileSync(path.join(files, 'node.crt'), renewed.certificate);
    followed.look();
    assert.equal(changes, 1);
    assert.equal(followed.current().expiresAtMs, nowMs + 2 * dayMs);
    fresh('followed', issueNodeCertificate({ ca, clusterId: 'c1', nodeId: 'other', hosts: [], days: 1, nowMs }));
    followed.look();
    assert.deepEqual([changes, complaints.length], [1, 2], 'a node does not become another');
    stop();
    fresh('followed');
    followed.look();
    assert.equal(changes, 1);
    followed.close();
  });
});
