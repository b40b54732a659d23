/** A node's identity from its directory of certificates, followed while the node runs. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Clock, type Timer } from '../ports.ts';
import { CertificateError, certificateFiles } from './certs.ts';
import { certifiedName, type IdentitySource, type NodeIdentity } from './identity.ts';

/** @throws CertificateError saying which file is wrong and how; never shows what is in a key. */
export function loadIdentity(directory: string): NodeIdentity {
  const read = (name: string): string => {
    try {
      return readFileSync(path.join(directory, name), 'utf8');
    } catch (cause) {
      throw new CertificateError(`${path.join(directory, name)} cannot be read`, { cause });
    }
  };
  const authorities = read(certificateFiles.authority).match(pemCertificate) ?? [];
  const certificate = read(certificateFiles.certificate);
  const key = read(certificateFiles.key);
  const parsed = parse(directory, certificateFiles.certificate, certificate);
  const name = certifiedName(parsed);
  if (name === undefined)
    throw new CertificateError(`${directory}: ${certificateFiles.certificate} is not one of a node`);
  if (!keyFits(parsed, key)) {
    throw new CertificateError(
      `${directory}: ${certificateFiles.key} is not the key of ${certificateFiles.certificate}`,
    );
  }
  const believed = authorities.map((authority) => parse(directory, certificateFiles.authority, authority));
  if (!believed.some((authority) => parsed.checkIssued(authority) && parsed.verify(authority.publicKey))) {
    throw new CertificateError(`${directory}: no authority of ${certificateFiles.authority} signed the certificate`);
  }
  return { name, authorities, certificate, key, expiresAtMs: parsed.validToDate.getTime() };
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g;

function parse(directory: string, file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new CertificateError(`${directory}: ${file} holds no certificate`, { cause });
  }
}

function keyFits(certificate: X509Certificate, key: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

export interface FollowedIdentity extends IdentitySource {
  /** Looks at the files now. */
  look(): void;
  close(): void;
}

/**
 * The identity in the directory, now and whenever its files have changed. Files that do not fit together, as while
 * somebody copies them, leave the present identity in force.
 * @param options.failed told of files that are wrong, once for each change
 * @throws CertificateError when there is no right one at the beginning.
 */
export function followIdentity(
  directory: string,
  options: { clock: Clock; everyMs: number; failed: (cause: Error) => void },
): FollowedIdentity {
  let current = loadIdentity(directory);
  let complaint = '';
  let timer: Timer | undefined;
  const followers = new Set<() => void>();

  function look(): void {
    let found: NodeIdentity;
    try {
      found = loadIdentity(directory);
      const { name } = current;
      if (found.name.clusterId !== name.clusterId || found.name.nodeId !== name.nodeId) {
        throw new CertificateError(`${directory}: the new certificate is that of node ${found.name.nodeId}`);
      }
      complaint = '';
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      if (error.message !== complaint) options.failed(error);
      complaint = error.message;
      return;
    }
    const same = (one: NodeIdentity): string => [one.certificate, one.key, ...one.authorities].join('');
    if (same(found) === same(current)) return;
    current = found;
    for (const follower of [...followers]) follower();
  }

  function lookLater(): void {
    timer = options.clock.setTimer(options.everyMs, () => {
      look();
      lookLater();
    });
  }
  lookLater();

  return {
    current: () => current,
    subscribe(changed) {
      followers.add(changed);
      return () => followers.delete(changed);
    },
    look,
    close: () => timer?.cancel(),
  };
}
