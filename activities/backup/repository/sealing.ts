import { createCipheriv, randomFillSync, timingSafeEqual } from 'node:crypto';
import { createCtr, ivBytes } from './ctr.ts';

/** The keys of a repository: AES-256 in counter mode, then Poly1305-AES over the ciphertext. */
export interface MasterKey {
  /** 32 bytes. */
  readonly encrypt: Uint8Array;
  /** 16 bytes each: the AES-128 key for nonces, and the key of the polynomial (masked when used). */
  readonly macK: Uint8Array;
  readonly macR: Uint8Array;
}

/** What sealing adds: 16 bytes of IV before, 16 bytes of MAC behind. */
export const sealingOverhead = 32;

/** A one-time authenticator: 16 bytes of MAC for a key of 32 bytes. */
export interface Poly1305 {
  mac(key32: Uint8Array, message: Uint8Array, out?: Uint8Array): Uint8Array;
}

/** Seals and opens one piece after the other; belongs to one thread. */
export interface Sealer {
  /** Seals into `out` from byte `at` on. @returns the bytes written: those of the plaintext and `sealingOverhead` */
  sealInto(out: Uint8Array, at: number, plaintext: Uint8Array): number;
  /** The same in a buffer of its own. */
  seal(plaintext: Uint8Array): Uint8Array;
  /** The plaintext; null when the MAC is wrong: damaged, or sealed with another key. */
  open(sealed: Uint8Array): Uint8Array | null;
}

const macBytes = 16;

export function createSealer(key: MasterKey, poly1305: Poly1305): Sealer {
  const ctr = createCtr(key.encrypt);
  const nonce = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false);
  const oneTimeKey = new Uint8Array(32);
  oneTimeKey.set(masked(key.macR));
  const expected = new Uint8Array(macBytes);

  /** The MAC of `ciphertext`, sealed under the IV that begins at byte `at` of `bytes`. */
  function mac(bytes: Uint8Array, at: number, ciphertext: Uint8Array, out: Uint8Array): void {
    oneTimeKey.set(nonce.update(bytes.subarray(at, at + ivBytes)), 16);
    poly1305.mac(oneTimeKey, ciphertext, out);
  }

  function sealInto(out: Uint8Array, at: number, plaintext: Uint8Array): number {
    ctr.encrypt(plaintext, out, at);
    const end = at + ivBytes + plaintext.length;
    mac(out, at, out.subarray(at + ivBytes, end), out.subarray(end, end + macBytes));
    return plaintext.length + sealingOverhead;
  }

  function seal(plaintext: Uint8Array): Uint8Array {
    const out = new Uint8Array(plaintext.length + sealingOverhead);
    sealInto(out, 0, plaintext);
    return out;
  }

  function open(sealed: Uint8Array): Uint8Array | null {
    const end = sealed.length - macBytes;
    if (end < ivBytes) return null;
    const ciphertext = sealed.subarray(ivBytes, end);
    mac(sealed, 0, ciphertext, expected);
    if (!timingSafeEqual(expected, sealed.subarray(end))) return null;
    return ctr.decrypt(sealed.subarray(0, ivBytes), ciphertext);
  }

  return { sealInto, seal, open };
}

export function randomMasterKey(): MasterKey {
  const random = randomFillSync(new Uint8Array(64));
  return masterKeyFrom(random);
}

/** 64 bytes as restic divides them: encryption key, MAC key k, MAC key r. */
export function masterKeyFrom(bytes: Uint8Array): MasterKey {
  return { encrypt: bytes.slice(0, 32), macK: bytes.slice(32, 48), macR: bytes.slice(48, 64) };
}

/** Poly1305 asks for certain bits of r to be 0 (RFC 8439, section 2.5). */
function masked(macR: Uint8Array): Uint8Array {
  const r = Uint8Array.from(macR);
  for (const i of [3, 7, 11, 15]) r[i] = (r[i] as number) & 15;
  for (const i of [4, 8, 12]) r[i] = (r[i] as number) & 252;
  return r;
}
