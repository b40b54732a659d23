import { createCipheriv, randomFillSync, timingSafeEqual } from 'node:crypto';
import { createPoly1305 } from '../kernels/poly1305.ts';
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

export function createSealer(key: MasterKey): Sealer {
  const poly1305 = createPoly1305();
  const ctr = createCtr(key.encrypt);
  const nonce = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false);
  const oneTimeKey = new Uint8Array(32);
  oneTimeKey.set(key.macR);
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
  const copy = (begin: number, end: number): Uint8Array => Uint8Array.from(bytes.subarray(begin, end));
  return { encrypt: copy(0, 32), macK: copy(32, 48), macR: copy(48, 64) };
}
