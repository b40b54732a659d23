import { MusterError } from '../../workflows/engine/errors.ts';
import { type CredentialProvider, type CredentialSource, type ObjectCredentials } from './place.ts';
import { changedAtMs, credentialsOf, type ProfileFiles } from './profile.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** How often the files of a profile are looked at, milliseconds. */
const lookEveryMs = 5_000;
/** Keys that end are asked for anew so long before. */
const aheadMs = 5 * 60_000;

/**
 * A source as a provider: the environment is read anew when keys were refused, a profile also when its files changed.
 * @throws MusterError SECRET_MISSING from the provider, naming variable or profile, never a value.
 */
export function providerOf(source: CredentialSource, env: Env): CredentialProvider {
  switch (source.kind) {
    case 'fixed':
      return () => Promise.resolve(source.credentials);
    case 'environment':
      return () => Promise.resolve(fromEnvironment(source, env));
    case 'profile':
      return fromProfile(source);
  }
}

function fromEnvironment(source: CredentialSource & { kind: 'environment' }, env: Env): ObjectCredentials {
  const valueOf = (name: string): string => {
    const value = env[name];
    if (value !== undefined && value !== '') return value;
    throw new MusterError('SECRET_MISSING', `env:${name}: the environment variable is not set`);
  };
  const sessionToken = env[source.sessionToken] ?? '';
  return {
    accessKeyId: valueOf(source.accessKeyId),
    secretAccessKey: valueOf(source.secretAccessKey),
    ...(sessionToken === '' ? {} : { sessionToken }),
  };
}

function fromProfile(files: ProfileFiles): CredentialProvider {
  let known: ObjectCredentials | undefined;
  let knownAtMs = 0;
  return ({ refused }) => {
    const changed = changedAtMs(files);
    if (known === undefined || refused || changed !== knownAtMs) {
      known = credentialsOf(files);
      knownAtMs = changed;
    }
    return Promise.resolve(known);
  };
}

/** The keys of the moment, asked of a provider no more often than needed. */
export interface Keyring {
  /** At once where they are known and good; else a promise. */
  current(): ObjectCredentials | Promise<ObjectCredentials>;
  /** These were refused. True when there are others now. */
  refused(these: ObjectCredentials): Promise<boolean>;
}

export function createKeyring(provider: CredentialProvider, nowMs: () => number = Date.now): Keyring {
  let known: ObjectCredentials | undefined;
  let askAgainAtMs = 0;
  let asking: Promise<ObjectCredentials> | undefined;

  const ask = (refused: boolean): Promise<ObjectCredentials> => {
    // Calls that come together ask once.
    asking ??= provider({ refused }).then(
      (credentials) => {
        asking = undefined;
        known = credentials;
        const endMs = (credentials.expiresAtMs ?? Number.POSITIVE_INFINITY) - aheadMs;
        askAgainAtMs = Math.min(nowMs() + lookEveryMs, Math.max(endMs, nowMs() + 1_000));
        return credentials;
      },
      (error: unknown) => {
        asking = undefined;
        throw error;
      },
    );
    return asking;
  };
  return {
    current: () => (known !== undefined && nowMs() < askAgainAtMs ? known : ask(false)),
    async refused(these) {
      // Another call may have brought new ones meanwhile.
      if (known !== undefined && !same(known, these)) return true;
      return !same(await ask(true), these);
    },
  };
}

function same(a: ObjectCredentials, b: ObjectCredentials): boolean {
  return (
    a.accessKeyId === b.accessKeyId && a.secretAccessKey === b.secretAccessKey && a.sessionToken === b.sessionToken
  );
}
