import {
  add32,
  and64,
  assemble,
  type Code,
  get,
  i32,
  i64,
  type Kernel,
  less32,
  load128,
  load64,
  load8,
  loop,
  set,
  shiftLeft64,
  shiftRight64,
  store128,
  store64,
  sub32,
  type,
  wrap64,
  xor128,
  xor64,
} from './wasm.ts';

/** A reflected CRC whose register begins as all ones and is inverted at the end, as all of these are. */
export interface Crc {
  /** Its bits in reverse, the highest power in the lowest bit left out. */
  polynomial: bigint;
  bits: 32 | 64;
  /**
   * A multiple of the polynomial with few terms: the distances of the other exponents from the highest, in ascending
   * order. Found by search; a test proves them. See `foldKernel`.
   */
  taps: readonly number[];
}

/** CRC-64/NVME. */
export const crc64nvme: Crc = {
  polynomial: 0x9a6c_9329_ac4b_c9b5n,
  bits: 64,
  taps: [280, 979, 1172, 1598, 1607, 1645, 1740],
};
/** CRC-64/XZ, which OSS calls ECMA. */
export const crc64ecma: Crc = {
  polynomial: 0xc96c_5795_d787_0f42n,
  bits: 64,
  taps: [736, 809, 1326, 1437, 1790, 1855, 1929],
};
/** CRC-32C (Castagnoli). */
export const crc32c: Crc = { polynomial: 0x82f6_3b78n, bits: 32, taps: [65, 155, 170, 195, 209] };
/** CRC-32 of zip and zlib; `node:zlib` computes it, this is for putting parts together. */
export const crc32: Crc = { polynomial: 0xedb8_8320n, bits: 32, taps: [181, 199, 255, 263, 274] };

const blockBytes = 16;
const tableBytes = 8 * 256 * 8;
/** More than the longest tap, in whole blocks: stays zero. */
const zeroBytes = 2048;
const windowBytes = 64 * 1024;
/** Where things lie in the kernels' memory: tables, the message, what it folds to, what is left of that; zeros before each. */
const messageAt = 4 * tableBytes + zeroBytes;
const foldedAt = messageAt + windowBytes + zeroBytes;
const restAt = foldedAt + windowBytes + zeroBytes;
const leftAt = restAt + zeroBytes;
const pages = Math.ceil((leftAt + zeroBytes) / 65_536);
/** Below, the table alone is as fast. */
const leastFoldBytes = 3 * 1024;

/**
 * `fold(from, back, to, bytes)`: each block of 16 bytes at `to` becomes that at `from` with the blocks at `back` added
 * which lie a tap's distance before it. With `back` = `to` that divides by a multiple of the CRC's polynomial, so that
 * of the whole message only its last bytes are left to be reduced by table. If G(x) is a multiple, G(x^8) = G(x)^8 is
 * one, too: hence the exponents of the sparse G count bytes, and no bit is ever shifted. Eight loads and a store for 16
 * bytes; the idea to divide by sparse multiples is that of Chorba (S. Russell, 2024).
 */
function foldKernel({ taps }: Crc): Kernel {
  const [from, back, to, bytes, end] = [0, 1, 2, 3, 4] as const;
  const furthest = taps.at(-1)!;
  const next = (pointer: number): Code => [get(pointer), i32(blockBytes), add32, set(pointer)];
  return {
    parameters: [type.i32, type.i32, type.i32, type.i32],
    results: [],
    locals: [type.i32],
    body: [
      [get(to), get(bytes), add32, set(end)],
      // Distances are added to addresses, never taken away: that costs nothing.
      [get(back), i32(furthest), sub32, set(back)],
      loop(
        [get(to), get(end), less32],
        [
          [get(to), get(from), load128()],
          taps.map((tap): Code => [get(back), load128(furthest - tap), xor128]),
          store128(),
          [next(from), next(back), next(to)],
        ],
      ),
    ],
  };
}

/** `table(at, bytes, register)`: the register after so many more bytes, eight a step and then one by one. */
function tableKernel(tableAt: number): Kernel {
  const [at, bytes, register, end] = [0, 1, 2, 3] as const;
  /** The entry of byte `n` of the register in the table for `behind` more bytes in the step. */
  const entry = (n: number, behind: number): Code => [
    get(register),
    n === 0 ? [i64(3n), shiftLeft64] : [i64(BigInt(n * 8 - 3)), shiftRight64],
    [i64(0x7f8n), and64, wrap64, load64(tableAt + behind * 2048)],
  ];
  const step = (length: number, load: Code, rest: Code): Code => [
    [get(register), get(at), load, xor64, set(register)],
    Array.from({ length }, (_, n): Code => [entry(n, length - 1 - n), n === 0 ? [] : xor64]),
    [rest, set(register)],
    [get(at), i32(length), add32, set(at)],
  ];
  const left = (length: number): Code => [get(at), i32(length - 1), add32, get(end), less32];
  return {
    parameters: [type.i32, type.i32, type.i64],
    results: [type.i64],
    locals: [type.i32],
    body: [
      [get(at), get(bytes), add32, set(end)],
      loop(left(8), step(8, load64(), [])),
      loop(left(1), step(1, load8(), [get(register), i64(8n), shiftRight64, xor64])),
      get(register),
    ],
  };
}

/** `mix(at, register)`: adds the register to the eight bytes it stands before. Done twice it is undone. */
const mixKernel: Kernel = {
  parameters: [type.i32, type.i64],
  results: [],
  locals: [],
  body: [get(0), get(0), load64(), get(1), xor64, store64()],
};

/** Eight tables of 256 entries: what a byte comes to when 0..7 more follow in the same step. */
function tablesOf({ polynomial }: Crc): BigUint64Array {
  const tables = new BigUint64Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let register = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) register = (register >> 1n) ^ ((register & 1n) * polynomial);
    tables[byte] = register;
  }
  for (let n = 256; n < tables.length; n++) {
    const before = tables[n - 256]!;
    tables[n] = (before >> 8n) ^ tables[Number(before & 0xffn)]!;
  }
  return tables;
}

type Fold = (from: number, back: number, to: number, bytes: number) => void;
type Table = (at: number, bytes: number, register: bigint) => bigint;
type Mix = (at: number, register: bigint) => void;

interface Engine {
  memory: Uint8Array;
  mix: Mix;
  of: (crc: Crc) => { fold: Fold; table: Table };
}

const kinds = [crc64nvme, crc64ecma, crc32c, crc32];

function createEngine(): Engine {
  const kernels: Record<string, Kernel> = { mix: mixKernel };
  kinds.forEach((crc, i) => {
    kernels[`fold${i}`] = foldKernel(crc);
    kernels[`table${i}`] = tableKernel(i * tableBytes);
  });
  const { functions, memory } = assemble(kernels, pages);
  kinds.forEach((crc, i) => memory.set(new Uint8Array(tablesOf(crc).buffer), i * tableBytes));
  const pairs = new Map(
    kinds.map((crc, i) => [
      crc,
      { fold: functions[`fold${i}`] as unknown as Fold, table: functions[`table${i}`] as unknown as Table },
    ]),
  );
  return { memory, mix: functions['mix'] as unknown as Mix, of: (crc) => pairs.get(crc)! };
}

let shared: Engine | undefined;

/** CRCs over the same bytes, computed together: the bytes are brought to the kernels once. */
export function updateCrcs(crcs: readonly Crc[], registers: bigint[], bytes: Uint8Array): void {
  shared ??= createEngine();
  const engine = shared;
  for (let from = 0; from < bytes.length; from += windowBytes) {
    const length = Math.min(windowBytes, bytes.length - from);
    engine.memory.set(from === 0 && length === bytes.length ? bytes : bytes.subarray(from, from + length), messageAt);
    crcs.forEach((crc, i) => {
      // The last one may take the message apart: half the memory, which matters where data streams through the caches.
      const to = i === crcs.length - 1 ? messageAt : foldedAt;
      registers[i] = BigInt.asUintN(64, advance(engine, { crc, register: registers[i]!, length, to }));
    });
  }
}

/** The register after the message in the window, which is left as it was unless it is folded `to` its own place. */
function advance({ memory, mix, of }: Engine, now: { crc: Crc; register: bigint; length: number; to: number }): bigint {
  const { crc, register, length, to } = now;
  const { fold, table } = of(crc);
  if (length < leastFoldBytes) return table(messageAt, length, register);
  const whole = length - (length % blockBytes);
  const restBytes = Math.ceil(crc.taps.at(-1)! / blockBytes) * blockBytes;
  mix(messageAt, register);
  fold(messageAt, to, to, whole);
  if (to !== messageAt) mix(messageAt, register);
  // The last bytes were divided, too, as if more came behind them: that is taken back.
  memory.copyWithin(restAt, to + whole - restBytes, to + whole);
  fold(restAt, restAt, leftAt, restBytes);
  return table(messageAt + whole, length - whole, table(leftAt, restBytes, 0n));
}

/** What a register holds before the first byte. */
export function firstRegister({ bits }: Crc): bigint {
  return (1n << BigInt(bits)) - 1n;
}

/** The CRC of a register's bytes. */
export function valueOf(crc: Crc, register: bigint): bigint {
  return register ^ firstRegister(crc);
}

/** The CRC of two stretches together, from theirs: the first is moved over the bits of the second. */
export function combineCrc(crc: Crc, first: bigint, second: { value: bigint; sizeBytes: number }): bigint {
  let moved = first;
  // x^8 in the reflected form, then its squares.
  let shift = 1n << BigInt(crc.bits - 9);
  for (let left = second.sizeBytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) moved = multiply(crc, shift, moved);
    shift = multiply(crc, shift, shift);
  }
  return moved ^ second.value;
}

/** Product of two polynomials modulo the CRC's, in the reflected form. */
function multiply({ polynomial, bits }: Crc, a: bigint, b: bigint): bigint {
  let product = 0n;
  let factor = b;
  for (let bit = BigInt(bits - 1); bit >= 0n; bit--) {
    if (((a >> bit) & 1n) === 1n) product ^= factor;
    factor = (factor >> 1n) ^ ((factor & 1n) * polynomial);
  }
  return product;
}
