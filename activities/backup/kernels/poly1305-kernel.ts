import { assemble, type Code, get, i32, i64, op, set, tee, type, whileLoop } from './assembler.ts';
import { addendOffset, digitCount, highOffset, powerBytes, powerCount } from './poly1305-powers.ts';

/**
 * Takes whole blocks into the state, at which lie 16 bytes of the sum so far, modulo 2^130 - 5 and not quite reduced,
 * and its bits from 128 on as a signed number of 32 bits.
 */
export type Poly1305Kernel = (at: number, blocks: number, table: number, state: number) => void;

/**
 * Blocks between two carries. A product of signed words and digits takes 2^27, a lane adds two of them a block: seven
 * blocks and what a carry leaves (2^21) stay below 2^31.
 */
const groupBlocks = 7;

const [at, blocks, table, state, count, group, power, first] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const [word, carry] = [8, 9] as const;
const sums = Array.from({ length: digitCount }, (_, k) => 10 + k);
const limbs = [20, 21, 22, 23, 24] as const;

/**
 * Poly1305 as a scalar product: the block that is followed by n - 1 others is multiplied by r^n, for which a table has
 * the share of each of its eight 16-bit words in each digit of the product. So a block is one vector, and each digit is
 * one multiply-and-add by a constant vector: there is nothing to split, to shuffle or to reduce until the end.
 */
const run: Code = whileLoop(get(blocks), [
  minimum(get(blocks), powerCount, count),
  [get(blocks), get(count), op.i32Sub, set(blocks)],
  [get(table), i32(powerCount), get(count), op.i32Sub, i32(powerBytes), op.i32Mul, op.i32Add, tee(power), set(first)],
  sums.map((sum): Code => [i32(0), op.i32x4Splat, set(sum)]),
  whileLoop(get(count), [
    minimum(get(count), groupBlocks, group),
    [get(count), get(group), op.i32Sub, set(count)],
    whileLoop(get(group), [
      multiplyBlock(at, power),
      [get(at), i32(16), op.i32Add, set(at)],
      [get(power), i32(powerBytes), op.i32Add, set(power)],
      [get(group), i32(1), op.i32Sub, set(group)],
    ]),
    carrySums(),
  ]),
  // The sum so far is one more block before the first. It comes last so that it need not be waited for.
  multiplyBlock(state, first),
  reduce(),
  storeState(),
]);

function minimum(left: Code, most: number, target: number): Code {
  return [left, i32(most), left, i32(most), op.i32LtU, op.select, set(target)];
}

function multiplyBlock(block: number, by: number): Code {
  return [
    // Unsigned words become signed by subtracting 2^15.
    [get(block), op.v128Load(), i32(0x8000), op.i16x8Splat, op.v128Xor, set(word)],
    sums.map((sum, k): Code => [get(word), get(by), op.v128Load(k * 16), op.i32x4Dot, get(sum), op.i32x4Add, set(sum)]),
  ];
}

/** Leaves 13 bits in each digit and passes the rest on; what leaves the highest comes back five-fold as the lowest. */
function carrySums(): Code {
  const lowBits: Code = [i32(0x1fff), op.i32x4Splat, op.v128And];
  return [
    [get(sums[9]!), i32(13), op.i32x4ShrS, tee(carry), i32(2), op.i32x4Shl, get(carry), op.i32x4Add, set(carry)],
    [get(sums[9]!), lowBits, set(sums[9]!)],
    sums.toReversed().map((sum, i): Code => {
      if (i === 0) return [];
      const above = sums[digitCount - i]!;
      return [
        [get(sum), i32(13), op.i32x4ShrS, get(above), op.i32x4Add, set(above)],
        [get(sum), lowBits, set(sum)],
      ];
    }),
    [get(sums[0]!), get(carry), op.i32x4Add, set(sums[0]!)],
  ];
}

/** From the sums of four lanes each to five limbs of 26 bits, of which the last may have one more. */
function reduce(): Code {
  const addend = (limb: number): Code => [get(first), op.i64Load32(addendOffset + limb * 4), op.i64Add];
  const high = (limb: number): Code => [
    [get(first), op.i64Load32(highOffset + limb * 4)],
    [get(state), op.i64Load32(16), op.i64Mul, op.i64Add],
  ];
  const passOn = (limb: number): Code => [
    [get(limbs[limb]!), i64(26n), op.i64ShrS],
    [get(limbs[limb]!), i64(0x3ffffffn), op.i64And, set(limbs[limb]!)],
    [get(limbs[limb + 1]!), op.i64Add, set(limbs[limb + 1]!)],
  ];
  return [
    sumLanes(sums.slice(0, 4)),
    sumLanes(sums.slice(4, 8)),
    sumLanes(sums.slice(8)),
    limbs.map((limb, i): Code => {
      const from = sums[Math.floor(i / 2) * 4]!;
      const lane = (i % 2) * 2;
      return [
        [get(from), op.i32x4ExtractLane(lane), op.i64ExtendS],
        [get(from), op.i32x4ExtractLane(lane + 1), op.i64ExtendS, i64(13n), op.i64Shl, op.i64Add],
        [addend(i), high(i), i64(multipleOfPrime(i)), op.i64Add, set(limb)],
      ];
    }),
    [0, 1, 2, 3].map(passOn),
    [get(limbs[4]), i64(26n), op.i64ShrS, i64(5n), op.i64Mul, get(limbs[0]), op.i64Add, set(limbs[0])],
    [get(limbs[4]), i64(0x3ffffffn), op.i64And, set(limbs[4])],
    [0, 1, 2, 3].map(passOn),
  ];
}

/** The limbs of 2^18 (2^130 - 5): what makes any sum of lanes positive. */
function multipleOfPrime(limb: number): bigint {
  return (limb === 0 ? 2n ** 26n - 5n : 2n ** 26n - 1n) << 18n;
}

/** Adds up the lanes of two or four vectors into the lanes of the first, in their order. */
function sumLanes(vectors: readonly number[]): Code {
  const [a, b, c, d] = vectors as [number, number, number?, number?];
  const pair = (left: number, right: number): Code => [
    [get(left), get(right), op.shuffle32([0, 4, 1, 5])],
    [get(left), get(right), op.shuffle32([2, 6, 3, 7]), op.i32x4Add],
  ];
  return [
    [pair(a, b), set(a)],
    c === undefined || d === undefined ? [] : [pair(c, d), set(c)],
    [get(a), get(c ?? a), op.shuffle32([0, 1, 4, 5]), get(a), get(c ?? a), op.shuffle32([2, 3, 6, 7])],
    [op.i32x4Add, set(a)],
  ];
}

function storeState(): Code {
  const shifted = (limb: number, bits: bigint): Code => [get(limbs[limb]!), i64(bits), op.i64Shl];
  return [
    [get(state), get(limbs[0]), shifted(1, 26n), op.i64Add, shifted(2, 52n), op.i64Add, op.i64Store()],
    [get(state), get(limbs[2]), i64(12n), op.i64ShrU, shifted(3, 14n), op.i64Add, shifted(4, 40n), op.i64Add],
    op.i64Store(8),
    [get(state), get(limbs[4]), i64(24n), op.i64ShrU, op.i32WrapI64, op.i32Store(16)],
  ];
}

let module: WebAssembly.Module | undefined;

/** Binds the kernel to a memory; it is assembled when it is first asked for. */
export function bindPoly1305(memory: WebAssembly.Memory): Poly1305Kernel {
  module ??= assemble([
    {
      name: 'run',
      parameters: Array<number>(4).fill(type.i32),
      results: [],
      locals: [
        ...Array<number>(4).fill(type.i32),
        ...Array<number>(12).fill(type.v128),
        ...Array<number>(5).fill(type.i64),
      ],
      body: run,
    },
  ]);
  return new WebAssembly.Instance(module, { env: { memory } }).exports['run'] as Poly1305Kernel;
}
