/** The cluster's own authority and the certificates it gives to nodes, as PEM text and as files. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { nameForm, nameUri } from './identity.ts';
import { makeCertificate } from './x509.ts';

const dayMs = 24 * 3600 * 1000;
/** Clocks of nodes differ; a certificate is valid from a little before it was made. */
const clockSlackMs = 5 * 60 * 1000;

/** A certificate with its private key, both PEM. */
export interface CertifiedKey {
  certificate: string;
  key: string;
}

/** The names of the files in a directory of certificates. */
export const certificateFiles = {
  authority: 'ca.crt',
  authorityKey: 'ca.key',
  certificate: 'node.crt',
  key: 'node.key',
} as const;

/** A name that cannot stand in a certificate, or an authority that is none. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError';
}

function newKey(): { publicKey: KeyObject; pem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return { publicKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/**
 * Makes an authority for one cluster: what it signs is believed by all its nodes and nobody else.
 * @param input.days how long it is valid
 */
export function createClusterCa(input: { clusterId: string; days: number; nowMs?: number }): CertifiedKey {
  requireName('cluster id', input.clusterId);
  const nowMs = input.nowMs ?? Date.now();
  const { publicKey, pem } = newKey();
  const name = `muster cluster ${input.clusterId}`;
  const certificate = makeCertificate({
    subject: name,
    issuer: name,
    serial: randomBytes(16),
    validFromMs: nowMs - clockSlackMs,
    validToMs: nowMs + input.days * dayMs,
    publicKey,
    issuerKey: createPrivateKey(pem),
    use: { kind: 'authority' },
  });
  return { certificate, key: pem };
}

export interface NodeCertificateInput {
  ca: CertifiedKey;
  clusterId: string;
  nodeId: string;
  /** DNS names and addresses of the node, for tools; between nodes the node id binds. */
  hosts: readonly string[];
  days: number;
  nowMs?: number;
}

/** @throws CertificateError for names that do not fit, or an authority of another cluster. */
export function issueNodeCertificate(input: NodeCertificateInput): CertifiedKey {
  const { ca, clusterId, nodeId, hosts } = input;
  requireName('cluster id', clusterId);
  requireName('node id', nodeId);
  for (const host of hosts) {
    if (!/^[A-Za-z0-9.:_-]+$/.test(host)) throw new CertificateError(`not a host name or address: ${host}`);
  }
  const authority = new X509Certificate(ca.certificate);
  const issuer = /^CN=(.*)$/m.exec(authority.subject)?.[1];
  if (!authority.ca || issuer !== `muster cluster ${clusterId}`) {
    throw new CertificateError(`the authority is not that of cluster ${clusterId}`);
  }
  const nowMs = input.nowMs ?? Date.now();
  const { publicKey, pem } = newKey();
  const certificate = makeCertificate({
    subject: `node ${nodeId}`,
    issuer,
    serial: randomBytes(16),
    validFromMs: nowMs - clockSlackMs,
    validToMs: nowMs + input.days * dayMs,
    publicKey,
    issuerKey: createPrivateKey(ca.key),
    use: { kind: 'node', uri: nameUri({ clusterId, nodeId }), hosts },
  });
  return { certificate, key: pem };
}

/** Writes an authority's two files; the key only for its owner to read. */
export function writeClusterCa(directory: string, ca: CertifiedKey): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeWhole(path.join(directory, certificateFiles.authorityKey), ca.key, 0o600);
  writeWhole(path.join(directory, certificateFiles.authority), ca.certificate, 0o644);
}

/**
 * Writes what a node needs: its certificate and key, and the authorities it believes (two while they are changed).
 * A node that runs takes them up by itself.
 */
export function writeNodeFiles(directory: string, node: CertifiedKey, authorities: readonly string[]): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeWhole(path.join(directory, certificateFiles.authority), authorities.join(''), 0o644);
  writeWhole(path.join(directory, certificateFiles.key), node.key, 0o600);
  writeWhole(path.join(directory, certificateFiles.certificate), node.certificate, 0o644);
}

/** Beside it first, then renamed, so that a reader never sees half of it. */
function writeWhole(file: string, content: string, mode: number): void {
  const beside = `${file}.${process.pid}.tmp`;
  writeFileSync(beside, content, { mode, flush: true });
  renameSync(beside, file);
}

function requireName(what: string, name: string): void {
  if (!nameForm.test(name)) {
    throw new CertificateError(
      `${what} ${JSON.stringify(name)}: lower-case letters, digits, dots and dashes, up to 63`,
    );
  }
}
