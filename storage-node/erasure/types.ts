/**
 * The erasure code and the memory it works in. Kernels are WebAssembly, so what they read and write lies in one
 * shared arena; sockets and files read from and write to the same bytes, and nothing is copied on the way.
 */

/** A piece of the arena. `bytes` is a view of it; `at` its address for the kernels. Aligned to 64, from 64 KiB on to 512. */
export interface Slab {
  readonly at: number;
  readonly bytes: Uint8Array;
  /** Gives the memory back. Using `bytes` afterwards is a bug; calling twice throws. */
  release(): void;
}

export interface Arena {
  /** @throws RangeError when all of the arena is in use */
  take(size: number): Slab;
  /** Address of bytes that lie in the arena; undefined for any others. */
  addressOf(bytes: Uint8Array): number | undefined;
  /** Bytes handed out now, and bytes that were in use at its fullest. */
  readonly inUseBytes: number;
  readonly totalBytes: number;
}

/** Reed-Solomon in the XOR form: k data shards, m = k parity shards, any k of them give the rest. */
export interface ErasureCode {
  readonly dataShards: number;
  readonly parityShards: number;
  /**
   * Makes the parity of one block.
   * @param data k addresses, @param parity m addresses, each of `length` bytes (a multiple of 64)
   */
  encode(data: readonly number[], parity: readonly number[], length: number): void;
  /**
   * Computes missing shards from exactly k present ones.
   * @param present k different shard numbers (0..k+m-1) and their addresses
   * @param wanted shard numbers to compute and where to put them
   */
  reconstruct(
    present: readonly { shard: number; at: number }[],
    wanted: readonly { shard: number; at: number }[],
    length: number,
  ): void;
}

/** Kernels over the arena: created once per process. */
export interface Kernels {
  readonly arena: Arena;
  /** @param setSize 4, 8, 12 or 16. */
  code(setSize: number): ErasureCode;
  /** XXH64 of arena memory. */
  xxh64(at: number, length: number, seed: bigint): bigint;
  /** XXH64 of any bytes; copied into the arena when they are not in it. */
  xxh64Of(bytes: Uint8Array, seed: bigint): bigint;
  /** MD5 streams; those of concurrent uploads are computed side by side, in the lanes of one vector. */
  md5(): Md5Stream;
}

/** MD5 of one upload. Bytes are given in order, as pieces of the arena that stay valid until `release` was called. */
export interface Md5Stream {
  update(slab: Slab, offset: number, length: number, release: () => void): void;
  /** Copies `bytes` (small pieces). */
  updateBytes(bytes: Uint8Array): void;
  /** Resolves with 16 bytes once everything given was digested. */
  digest(): Promise<Uint8Array>;
  abort(): void;
}
