import { hash } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Sealer } from './sealing.ts';
import { configName, damaged, readStored, type FileKind, type RepositoryStore } from './store.ts';

/** The kinds that are one sealed JSON text each. */
export type UnpackedKind = Exclude<FileKind, 'data' | 'key'>;

interface Access {
  readonly store: RepositoryStore;
  readonly sealer: Sealer;
}

const compressedMark = 2;

/** Writes a value as JSON, compressed (the config is not) and sealed. @returns the name: SHA-256 of what is stored */
export async function saveUnpacked({ store, sealer }: Access, kind: UnpackedKind, value: unknown): Promise<string> {
  const stored = sealer.seal(encode(kind, Buffer.from(JSON.stringify(value))));
  const name = kind === 'config' ? configName : hash('sha256', stored);
  await store.write(kind, name, [stored]);
  return name;
}

function encode(kind: UnpackedKind, json: Uint8Array): Uint8Array {
  if (kind === 'config') return json;
  return Buffer.concat([Buffer.of(compressedMark), zstdCompressSync(json)]);
}

/** @throws MusterError REPOSITORY_DAMAGED naming the file and what is wrong with it */
export async function loadUnpacked(access: Access, kind: UnpackedKind, name: string): Promise<unknown> {
  return decodeUnpacked(access, kind, name, await readStored(access.store, kind, name));
}

/** Like `loadUnpacked`, for bytes that were read already. */
export function decodeUnpacked(
  { store, sealer }: Access,
  kind: UnpackedKind,
  name: string,
  stored: Uint8Array,
): unknown {
  const fail = (what: string): never => {
    throw damaged(store, kind, name, what);
  };
  if (kind !== 'config' && hash('sha256', stored) !== name) fail('has another hash than its name');
  const plaintext = sealer.open(stored);
  if (plaintext === null) return fail('has a wrong MAC');
  const json = jsonOf(plaintext);
  if (json === null) return fail('is neither JSON nor compressed JSON');
  try {
    return JSON.parse(json.toString()) as unknown;
  } catch {
    return fail('is not JSON');
  }
}

/** The JSON text in an opened file; null when it is of no known form. */
function jsonOf(plaintext: Uint8Array): Buffer | null {
  const bytes = Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length);
  // JSON of an object or a list begins with `{` or `[`; anything else says how it is encoded.
  if (bytes[0] === 0x7b || bytes[0] === 0x5b) return bytes;
  if (bytes[0] !== compressedMark) return null;
  try {
    return zstdDecompressSync(bytes.subarray(1));
  } catch {
    return null;
  }
}
