/** AES-256-CTR with a Poly1305-AES MAC, as restic seals every file and blob. */
export interface MasterKey {
  /** 32 bytes. */
  readonly encrypt: Uint8Array;
  /** 16 bytes each. */
  readonly macK: Uint8Array;
  readonly macR: Uint8Array;
}

/** What sealing adds: 16 bytes of IV before, 16 bytes of MAC behind. */
export const sealingOverhead = 32;

export interface Sealer {
  /** Seals into `out` from byte `at` on. @returns the bytes written: those of the plaintext and `sealingOverhead` */
  sealInto(out: Uint8Array, at: number, plaintext: Uint8Array): number;
  /** The same in a buffer of its own. */
  seal(plaintext: Uint8Array): Uint8Array;
  /** The plaintext; null when the MAC is wrong: damaged, or sealed with another key. */
  open(sealed: Uint8Array): Uint8Array | null;
}
