/**
 * Memory of one thread that kernels compute in and that files can be read into: what already lies here is not copied
 * once more. Its size is fixed; the system gives real memory only to pages that were touched.
 */
export interface KernelMemory {
  readonly memory: WebAssembly.Memory;
  /** A stretch of it, zeroed, aligned to 64 bytes and never given back. @throws RangeError when there is no room left */
  take(sizeBytes: number): Uint8Array<ArrayBuffer>;
  /** Where bytes lie in it; undefined for bytes of another buffer. */
  addressOf(bytes: Uint8Array): number | undefined;
}

const pageBytes = 65_536;
const alignment = 64;

/** @param sizeBytes room for everything that is taken, rounded up to pages of 64 KiB */
export function createKernelMemory(sizeBytes: number): KernelMemory {
  const pages = Math.ceil(sizeBytes / pageBytes);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { buffer } = memory;
  let top = 0;
  return {
    memory,
    take(size) {
      const start = top;
      const end = start + Math.ceil(size / alignment) * alignment;
      if (end > buffer.byteLength) {
        throw new RangeError(
          `no room for ${size} bytes in a kernel memory of ${buffer.byteLength}: ${start} are taken`,
        );
      }
      top = end;
      return new Uint8Array(buffer, start, size);
    },
    addressOf: (bytes) => (bytes.buffer === buffer ? bytes.byteOffset : undefined),
  };
}
