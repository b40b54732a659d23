import { hash, randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { z } from 'zod';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { calibrateScrypt, deriveKey, refuseScrypt, type ScryptParameters } from './scrypt.ts';
import { createSealer, masterKeyFrom, type MasterKey } from './sealing.ts';
import { damaged, readStored, type RepositoryStore } from './store.ts';

/** A key file: the master key of the repository, sealed with a key derived from one password. */
export interface KeyInfo {
  /** The file name. */
  readonly name: string;
  /** RFC 3339. */
  readonly created: string;
  readonly username: string;
  readonly hostname: string;
  readonly scrypt: ScryptParameters;
}

export interface OpenKey {
  readonly name: string;
  readonly masterKey: MasterKey;
}

export interface NewKey {
  readonly masterKey: MasterKey;
  readonly password: string;
  /** Calibrated to half a second when not given. */
  readonly scrypt?: ScryptParameters | undefined;
  readonly username?: string;
  readonly hostname?: string;
}

const base64 = z.base64().transform((text) => Uint8Array.from(Buffer.from(text, 'base64')));
const keyFileSchema = z.object({
  created: z.string(),
  username: z.string().default(''),
  hostname: z.string().default(''),
  kdf: z.literal('scrypt'),
  N: z.number(),
  r: z.number(),
  p: z.number(),
  salt: base64,
  data: base64,
});
type KeyFile = z.infer<typeof keyFileSchema>;

const masterKeySchema = z.object({
  mac: z.object({ k: base64.refine((k) => k.length === 16), r: base64.refine((r) => r.length === 16) }),
  encrypt: base64.refine((key) => key.length === 32),
});

/** restic looks at so many keys, too. Each costs half a second when the password is wrong. */
const maxKeysTried = 20;

/** Adds a key for a password. @returns its file name @throws MusterError CONFIG_INVALID for an empty password */
export async function addKey(store: RepositoryStore, key: NewKey): Promise<string> {
  if (key.password === '') throw new MusterError('CONFIG_INVALID', 'the password of a repository key is empty');
  const scrypt = key.scrypt ?? calibrateScrypt();
  const salt = randomBytes(64);
  const file = {
    created: new Date().toISOString(),
    username: key.username ?? localUser(),
    hostname: key.hostname ?? hostname(),
    kdf: 'scrypt',
    ...{ N: scrypt.N, r: scrypt.r, p: scrypt.p },
    salt: salt.toString('base64'),
    data: Buffer.from(sealMasterKey(key.masterKey, await deriveKey(key.password, salt, scrypt))).toString('base64'),
  };
  const bytes = Buffer.from(JSON.stringify(file));
  const name = hash('sha256', bytes);
  await store.write('key', name, [bytes]);
  return name;
}

/**
 * Tries the password on every key.
 * @param only the one key to try
 * @throws MusterError REPOSITORY_KEY_WRONG; REPOSITORY_MISSING when there is no key at all; REPOSITORY_DAMAGED when no
 * key opened and some could not be read
 */
export async function openWithPassword(store: RepositoryStore, password: string, only?: string): Promise<OpenKey> {
  const unreadable: MusterError[] = [];
  let tried = 0;
  for await (const { name } of store.list('key')) {
    if (only !== undefined && name !== only) continue;
    if (tried === maxKeysTried) break;
    tried += 1;
    const opened = await tryKey(store, name, password).catch((err: unknown) => {
      if (!(err instanceof MusterError) || err.code !== 'REPOSITORY_DAMAGED') throw err;
      unreadable.push(err);
      return null;
    });
    if (opened !== null) return { name, masterKey: opened };
  }
  if (unreadable[0] !== undefined) throw unreadable[0];
  if (tried === 0)
    throw new MusterError('REPOSITORY_MISSING', `there is no repository at ${store.place}: it has no key`);
  throw new MusterError(
    'REPOSITORY_KEY_WRONG',
    `the password ${tried === 1 ? 'does not open the one key' : `opens none of the ${tried} keys`} of the repository ${store.place}`,
  );
}

/** Every key, oldest first. @throws MusterError REPOSITORY_DAMAGED naming a key file that is not one */
export async function listKeys(store: RepositoryStore): Promise<KeyInfo[]> {
  const keys: KeyInfo[] = [];
  for await (const { name } of store.list('key')) {
    const { created, username, hostname, N, r, p } = await readKeyFile(store, name);
    keys.push({ name, created, username, hostname, scrypt: { N, r, p } });
  }
  return keys.toSorted((a, b) => Date.parse(a.created) - Date.parse(b.created));
}

/**
 * Removes a key, never the one in use and so never the last.
 * @param name its file name, or a beginning of it that no other key has
 * @throws MusterError CONFIG_INVALID
 */
export async function removeKey(store: RepositoryStore, inUse: OpenKey, name: string): Promise<void> {
  const matching: string[] = [];
  for await (const key of store.list('key')) if (key.name.startsWith(name)) matching.push(key.name);
  const [found] = matching;
  if (found === undefined || matching.length > 1) {
    const many = matching.length > 1 ? 'more than one key has' : 'no key has';
    const what = `${many} an id that begins with "${name}"`;
    throw new MusterError('CONFIG_INVALID', `${what} in the repository ${store.place}: see \`key list\``);
  }
  if (found === inUse.name) {
    throw new MusterError(
      'CONFIG_INVALID',
      `key ${found.slice(0, 8)} opened the repository just now and stays: to remove it, give the password of another key`,
    );
  }
  await store.remove('key', found);
}

async function tryKey(store: RepositoryStore, name: string, password: string): Promise<MasterKey | null> {
  const file = await readKeyFile(store, name);
  const refused = refuseScrypt(file);
  if (refused !== null) throw damaged(store, 'key', name, refused);
  const sealer = createSealer(masterKeyFrom(await deriveKey(password, file.salt, file)));
  const json = sealer.open(file.data);
  if (json === null) return null;
  const parsed = masterKeySchema.safeParse(parseJson(json));
  if (!parsed.success) throw damaged(store, 'key', name, 'holds no master key');
  const { encrypt, mac } = parsed.data;
  return { encrypt, macK: mac.k, macR: mac.r };
}

async function readKeyFile(store: RepositoryStore, name: string): Promise<KeyFile> {
  const bytes = await readStored(store, 'key', name);
  if (hash('sha256', bytes) !== name) throw damaged(store, 'key', name, 'has another hash than its name');
  const parsed = keyFileSchema.safeParse(parseJson(bytes));
  if (!parsed.success) throw damaged(store, 'key', name, 'is not a key file');
  return parsed.data;
}

function sealMasterKey(masterKey: MasterKey, derived: Uint8Array): Uint8Array {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const json = { mac: { k: text(masterKey.macK), r: text(masterKey.macR) }, encrypt: text(masterKey.encrypt) };
  return createSealer(masterKeyFrom(derived)).seal(Buffer.from(JSON.stringify(json)));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as unknown;
  } catch {
    return null;
  }
}

function localUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry in the user database.
    return '';
  }
}
