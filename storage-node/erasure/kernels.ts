import { createArena } from './arena.ts';
import { generatorMatrix, type Matrix, parityMatrix, reconstructionMatrix } from './matrix.ts';
import { createMd5 } from './md5.ts';
import { type ErasureCode, type Kernels, type Md5Stream } from './types.ts';
import { makeXorKernel, type XorKernel } from './xor-kernel.ts';
import { makeXxh64Kernel } from './xxh64-kernel.ts';
import { type ArenaMemory } from './arena.ts';

/** Kernels for as many different losses are kept; more are generated again when they are needed. */
const keptReconstructions = 128;

/** Creates the arena and the kernels over it. Each kernel is compiled when it is first used. */
export function createKernels(options: { maximumBytes?: number } = {}): Kernels {
  const arena = createArena(options);
  const codes = new Map<number, ErasureCode>();
  const hash = makeXxh64Kernel(arena.memory);
  let newMd5: (() => Md5Stream) | undefined;
  return {
    arena,
    code(setSize) {
      const known = codes.get(setSize);
      if (known !== undefined) return known;
      const made = createCode(arena, setSize / 2);
      codes.set(setSize, made);
      return made;
    },
    xxh64: hash,
    xxh64Of(bytes, seed) {
      const at = arena.addressOf(bytes);
      if (at !== undefined) return hash(at, bytes.length, seed);
      const slab = arena.take(Math.max(1, bytes.length));
      slab.bytes.set(bytes);
      const result = hash(slab.at, bytes.length, seed);
      slab.release();
      return result;
    },
    md5() {
      newMd5 ??= createMd5(arena);
      return newMd5();
    },
  };
}

function createCode(arena: ArenaMemory, half: number): ErasureCode {
  const generator = generatorMatrix(half, half);
  const tables = arena.take(4 * 4 * half);
  const inputTable = tables.at;
  const outputTable = tables.at + 8 * half;
  const reconstructions = new Map<string, XorKernel>();
  let encoder: XorKernel | undefined;

  const run = (kernel: XorKernel, inputs: readonly number[], outputs: readonly number[], length: number): void => {
    if (length % 64 !== 0) throw new RangeError(`a block of ${length} bytes is no multiple of 64`);
    const words = new Uint32Array(arena.memory.buffer, tables.at, 4 * half);
    inputs.forEach((address, i) => (words[i] = address));
    outputs.forEach((address, i) => (words[2 * half + i] = address));
    kernel(inputTable, outputTable, length);
  };
  const reconstruction = (present: readonly number[], wanted: readonly number[]): XorKernel => {
    const name = `${present.join(',')}>${wanted.join(',')}`;
    const known = reconstructions.get(name);
    reconstructions.delete(name);
    const kernel = known ?? makeXorKernel(reconstructionMatrix(generator, present, wanted), arena.memory);
    reconstructions.set(name, kernel);
    if (reconstructions.size > keptReconstructions) reconstructions.delete(reconstructions.keys().next().value!);
    return kernel;
  };
  return {
    dataShards: half,
    parityShards: half,
    encode(data, parity, length) {
      encoder ??= makeXorKernel(parityMatrix(half, half) satisfies Matrix, arena.memory);
      run(encoder, data, parity, length);
    },
    reconstruct(present, wanted, length) {
      if (wanted.length === 0) return;
      const inputs = [...present].sort((a, b) => a.shard - b.shard);
      const kernel = reconstruction(
        inputs.map(({ shard }) => shard),
        wanted.map(({ shard }) => shard),
      );
      run(
        kernel,
        inputs.map(({ at }) => at),
        wanted.map(({ at }) => at),
        length,
      );
    },
  };
}
