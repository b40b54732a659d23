/** The settings that name certificates and keys: for the other nodes, and for clients. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { CertificateError } from './rpc/certs.ts';
import { loadIdentity } from './rpc/identity-files.ts';
import { type SettingsReader } from './settings.ts';
import { readText, whyUnread } from './text-file.ts';

/** Tells of a directory of certificates from which the node could not start. */
export function checkCerts(settings: SettingsReader, directory: string): void {
  if (directory === '') return settings.tell('certsDir', 'is empty: name a directory, or leave it away');
  try {
    loadIdentity(directory);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    const unread = (error.cause as NodeJS.ErrnoException | undefined)?.syscall !== undefined;
    const why = unread ? `: it ${whyUnread(error.cause)}` : '';
    settings.tell(
      'certsDir',
      `is not right: ${error.message}${why}; \`muster storage-node certs issue\` makes all of it`,
    );
  }
}

/** The certificate and key that clients see; undefined without them, or when they are not right, which is told. */
export function clientTls(settings: SettingsReader): { cert: string; key: string } | undefined {
  const names = ['tlsCert', 'tlsKey'] as const;
  if (names.every((name) => settings.of(name) === undefined)) return undefined;
  for (const name of names) {
    if (settings.of(name) === undefined)
      settings.tell(name, 'is missing: TLS for clients needs both --tls-cert and --tls-key');
  }
  const cert = pem(settings, 'tlsCert', { parse: (text) => new X509Certificate(text), what: 'certificate' });
  const key = pem(settings, 'tlsKey', { parse: createPrivateKey, what: 'private key without passphrase' });
  if (cert === undefined || key === undefined) return undefined;
  if (!cert.parsed.checkPrivateKey(key.parsed))
    settings.tell('tlsKey', `names ${settings.of('tlsKey')}, which is not the key of ${settings.of('tlsCert')}`);
  return { cert: cert.text, key: key.text };
}

/** What a file holds, and as what it was understood. Never shows it: keys are secrets. */
function pem<T extends X509Certificate | KeyObject>(
  settings: SettingsReader,
  name: 'tlsCert' | 'tlsKey',
  kind: { parse: (text: string) => T; what: string },
): { text: string; parsed: T } | undefined {
  const file = settings.of(name);
  if (file === undefined) return undefined;
  // `MUSTER_TLS_KEY_FILE` gives the path of the key, and a key that stands there instead must not be shown as a path.
  if (/-----BEGIN|[\r\n]/.test(file)) {
    settings.tell(name, 'must be the path of a PEM file, not what is in the file');
    return undefined;
  }
  const read = readText(file);
  if ('why' in read) {
    settings.tell(name, `names ${file}, which ${read.why}`);
    return undefined;
  }
  try {
    return { text: read.text, parsed: kind.parse(read.text) };
  } catch {
    settings.tell(name, `names ${file}, which holds no ${kind.what} in PEM (-----BEGIN …)`);
    return undefined;
  }
}
