import { assemble, type Code, get, i32, i64, ifThen, op, set, type, whileLoop } from './assembler.ts';

/** What the kernel works with, in memory: the hash so far, the threshold of each phase, the gear table. */
export const thresholdOffset = 8;
export const phaseCount = 3;
export const gearOffset = thresholdOffset + phaseCount * 8;
export const gearEntries = 256;
export const chunkerStateBytes = gearOffset + gearEntries * 8;

/**
 * Hashes the bytes from `at` to `end` and stops behind the first at which the hash is below the threshold of the phase.
 * @returns the address it stopped at; 0 when it came to the end without
 */
export type ChunkerKernel = (at: number, end: number, state: number, phase: number) => number;

const [at, end, state, phase, unrolledEnd, gear] = [0, 1, 2, 3, 4, 5] as const;
const [hash, threshold] = [6, 7] as const;
const unrolled = 8;

/** The gear hash: doubled for each byte, so that a byte is forgotten after 64, and a random number added for it. */
function hashByte(offset: number): Code {
  return [
    // In this order V8 makes one instruction of doubling and adding.
    [get(at), op.i32Load8(offset), i32(3), op.i32Shl, get(gear), op.i32Add, op.i64Load()],
    [get(hash), i64(1n), op.i64Shl, op.i64Add, set(hash)],
    ifThen(
      [get(hash), get(threshold), op.i64LtU],
      [
        [get(state), get(hash), op.i64Store()],
        [get(at), i32(offset + 1), op.i32Add, op.returned],
      ],
    ),
  ];
}

const body: Code = [
  [get(state), i32(gearOffset), op.i32Add, set(gear)],
  [get(state), op.i64Load(), set(hash)],
  [get(state), get(phase), i32(3), op.i32Shl, op.i32Add, op.i64Load(thresholdOffset), set(threshold)],
  [get(end), get(end), get(at), op.i32Sub, i32(unrolled - 1), op.i32And, op.i32Sub, set(unrolledEnd)],
  whileLoop(
    [get(at), get(unrolledEnd), op.i32LtU],
    [Array.from({ length: unrolled }, (_, offset) => hashByte(offset)), advance(unrolled)],
  ),
  whileLoop([get(at), get(end), op.i32LtU], [hashByte(0), advance(1)]),
  [get(state), get(hash), op.i64Store()],
  i32(0),
];

function advance(by: number): Code {
  return [get(at), i32(by), op.i32Add, set(at)];
}

let module: WebAssembly.Module | undefined;

/** Binds the kernel to a memory; it is assembled when it is first asked for. */
export function bindChunker(memory: WebAssembly.Memory): ChunkerKernel {
  module ??= assemble([
    {
      name: 'scan',
      parameters: Array<number>(4).fill(type.i32),
      results: [type.i32],
      locals: [type.i32, type.i32, type.i64, type.i64],
      body,
    },
  ]);
  return new WebAssembly.Instance(module, { env: { memory } }).exports['scan'] as ChunkerKernel;
}
