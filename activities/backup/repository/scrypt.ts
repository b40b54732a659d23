import { scrypt, scryptSync } from 'node:crypto';

/** What it costs to derive a key from a password: memory is 128 * N * r bytes, time grows with N * r * p. */
export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** As restic chooses: 32 MiB, and about half a second. */
const floor: ScryptParameters = { N: 32_768, r: 8, p: 1 };
const targetMs = 500;
const maxP = 16;
/** A key file is not authenticated before its key is derived, so what it asks for is bounded. */
const maxMemoryBytes = 2 ** 30;

/** Parameters that take about half a second here, never less than the floor. Takes some 100 ms. */
export function calibrateScrypt(): ScryptParameters {
  const beganMs = performance.now();
  scryptSync('', Buffer.alloc(64), 64, { ...floor, maxmem: memoryOf(floor) });
  const onceMs = performance.now() - beganMs;
  return { ...floor, p: Math.max(1, Math.min(maxP, Math.floor(targetMs / onceMs))) };
}

/** Why these parameters cannot be used; null when they can. */
export function refuseScrypt({ N, r, p }: ScryptParameters): string | null {
  if (![N, r, p].every((value) => Number.isSafeInteger(value) && value > 0)) return 'has no valid scrypt parameters';
  if (N < 2 || (N & (N - 1)) !== 0) return 'has an N that is no power of two';
  if (r * p >= 2 ** 30 || 128 * N * r > maxMemoryBytes) return 'asks for more than 1 GiB of memory';
  return null;
}

/** 64 bytes for a password. */
export function deriveKey(password: string, salt: Uint8Array, parameters: ScryptParameters): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 64, { ...parameters, maxmem: memoryOf(parameters) }, (err, key) => {
      if (err === null) resolve(key);
      else reject(err);
    });
  });
}

/** What Node is to allow: the need, and a share for p. */
const memoryOf = ({ N, r, p }: ScryptParameters): number => 128 * r * (N + p + 2) + 2 ** 20;
