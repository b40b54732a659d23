/** X.509 v3 certificates (RFC 5280) with keys on the curve P-256, which `node:crypto` can read but not make. */
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { bits, boolean, explicit, implicit, integer, objectId, octets, sequence, setOf, time, utf8 } from './der.ts';

const oid = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const signatureAlgorithm = sequence(objectId(oid.ecdsaWithSha256));

export interface CertificateInput {
  /** Common names; every certificate of ours is of the organization Muster. */
  subject: string;
  issuer: string;
  /** 16 random bytes. */
  serial: Uint8Array;
  validFromMs: number;
  validToMs: number;
  publicKey: KeyObject;
  /** The issuer's: it signs, and its public half is named in the certificate. */
  issuerKey: KeyObject;
  use: { kind: 'authority' } | { kind: 'node'; uri: string; hosts: readonly string[] };
}

/** @returns the certificate in PEM */
export function makeCertificate(input: CertificateInput): string {
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.from([2]))),
    // A serial number is positive and at most 20 bytes long.
    integer(Buffer.concat([Buffer.from([0x40 | (input.serial[0]! & 0x3f)]), input.serial.subarray(1, 16)])),
    signatureAlgorithm,
    nameOf(input.issuer),
    sequence(time(input.validFromMs), time(input.validToMs)),
    nameOf(input.subject),
    spkiOf(input.publicKey),
    explicit(3, sequence(...extensionsOf(input))),
  );
  const signature = sign('sha256', toBeSigned, { key: input.issuerKey, dsaEncoding: 'der' });
  const lines =
    sequence(toBeSigned, signatureAlgorithm, bits(signature))
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function nameOf(commonName: string): Buffer {
  const attribute = (type: string, value: string): Buffer => setOf(sequence(objectId(type), utf8(value)));
  return sequence(attribute(oid.organization, 'Muster'), attribute(oid.commonName, commonName));
}

function spkiOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

/** The usual name of a key: SHA-1 of its bits (RFC 5280, 4.2.1.2). For finding it, not for trusting it. */
function keyIdOf(key: KeyObject): Buffer {
  // The point is the last 65 bytes of the key's description.
  return createHash('sha1').update(spkiOf(key).subarray(-65)).digest();
}

function extensionsOf({ use, publicKey, issuerKey }: CertificateInput): Buffer[] {
  const issuer = createPublicKey(issuerKey);
  const common = [
    extension(oid.subjectKeyId, octets(keyIdOf(publicKey))),
    extension(oid.authorityKeyId, sequence(implicit(0, keyIdOf(issuer)))),
  ];
  if (use.kind === 'authority') {
    return [
      // An authority whose certificates make no further ones (path length 0).
      critical(oid.basicConstraints, sequence(boolean(true), integer(Buffer.from([0])))),
      // keyCertSign and cRLSign: bits 5 and 6.
      critical(oid.keyUsage, bits(Buffer.from([0x06]), 1)),
      ...common,
    ];
  }
  return [
    critical(oid.basicConstraints, sequence()),
    // digitalSignature: bit 0.
    critical(oid.keyUsage, bits(Buffer.from([0x80]), 7)),
    extension(oid.extendedKeyUsage, sequence(objectId(oid.serverAuth), objectId(oid.clientAuth))),
    extension(oid.subjectAltName, sequence(implicit(6, Buffer.from(use.uri)), ...use.hosts.map(hostName))),
    ...common,
  ];
}

const extension = (id: string, value: Buffer): Buffer => sequence(objectId(id), octets(value));
const critical = (id: string, value: Buffer): Buffer => sequence(objectId(id), boolean(true), octets(value));

/** A DNS name or an address, as an alternative name. */
function hostName(host: string): Buffer {
  return isIP(host) === 0 ? implicit(2, Buffer.from(host)) : implicit(7, addressBytes(host));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  return ipv6Bytes(address);
}

function ipv6Bytes(address: string): Buffer {
  const [left = '', right] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return Buffer.concat([...head, ...zeros, ...tail].map((group) => Buffer.from(group.padStart(4, '0'), 'hex')));
}
