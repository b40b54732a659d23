import {
  type Code,
  compile,
  get,
  i32,
  i64,
  op,
  set,
  type,
  type WasmFunction,
  whileLoop,
} from '../erasure/assembler.ts';
import { createArena } from '../erasure/arena.ts';

/** A reflected CRC with all bits set before and inverted after, as CRC-32C and CRC-64/NVME are. */
export interface CrcKind {
  /** The polynomial with its bits reversed. */
  polynomial: bigint;
  bits: 32 | 64;
}

export const crc32c: CrcKind = { polynomial: 0x82f6_3b78n, bits: 32 };
export const crc64nvme: CrcKind = { polynomial: 0x9a6c_9329_ac4b_c9b5n, bits: 64 };
export const crc32: CrcKind = { polynomial: 0xedb8_8320n, bits: 32 };

const windowBytes = 64 * 1024;
const tableBytes = 8 * 256 * 8;

type Kernel = (at: number, length: number, crc: bigint, table: number) => bigint;
type Update = (crc: bigint, bytes: Uint8Array) => bigint;

/** Eight tables of 256 entries: what a byte contributes when 0..7 more bytes follow in the same step. */
function tablesOf({ polynomial }: CrcKind): BigUint64Array {
  const tables = new BigUint64Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ polynomial : crc >> 1n;
    tables[byte] = crc;
  }
  for (let n = 256; n < tables.length; n++) {
    const before = tables[n - 256]!;
    tables[n] = (before >> 8n) ^ tables[Number(before & 0xffn)]!;
  }
  return tables;
}

/** `run(at, length, crc, table)`: eight bytes a step, then the rest one by one. */
function kernelFunction(): WasmFunction {
  const [at, length, crc, table, end, word] = [0, 1, 2, 3, 4, 5] as const;
  const mask: Code = [i64(0xffn), [0x83]];
  /** table entry (i64) of the byte that is on the stack as i64. */
  const entry = (slice: number): Code => [
    [[0xa7], i32(3), op.i32Shl, get(table), op.i32Add],
    op.i64Load(slice * 256 * 8),
  ];
  const byteOf = (n: number): Code => [get(word), i64(BigInt(n * 8)), op.i64ShrU, mask];
  const eight: Code = [
    [get(at), op.i64Load(), get(crc), op.i64Xor, set(word)],
    [0, 1, 2, 3, 4, 5, 6, 7].map((n): Code => [byteOf(n), entry(7 - n), n === 0 ? [] : op.i64Xor]),
    set(crc),
    [get(at), i32(8), op.i32Add, set(at)],
  ];
  const one: Code = [
    [get(crc), get(at), op.i32Load8(), op.i64ExtendU, op.i64Xor, set(word)],
    [byteOf(0), entry(0), get(crc), i64(8n), op.i64ShrU, op.i64Xor, set(crc)],
    [get(at), i32(1), op.i32Add, set(at)],
  ];
  const left = (bytes: number): Code => [get(end), get(at), op.i32Sub, i32(bytes), op.i32GeU];
  return {
    name: 'run',
    parameters: [type.i32, type.i32, type.i64, type.i32],
    results: [type.i64],
    locals: [type.i32, type.i64],
    body: [[get(at), get(length), op.i32Add, set(end)], whileLoop(left(8), eight), whileLoop(left(1), one), get(crc)],
  };
}

let shared: { run: Kernel; window: Uint8Array; at: number; tableOf: (kind: CrcKind) => number } | undefined;

function engine(): NonNullable<typeof shared> {
  if (shared !== undefined) return shared;
  const arena = createArena({ maximumBytes: 16 * 1024 * 1024 });
  const run = compile([kernelFunction()], arena.memory, 256)['run'] as unknown as Kernel;
  const window = arena.take(windowBytes);
  const tables = new Map<CrcKind, number>();
  const tableOf = (kind: CrcKind): number => {
    const known = tables.get(kind);
    if (known !== undefined) return known;
    const slab = arena.take(tableBytes);
    slab.bytes.set(new Uint8Array(tablesOf(kind).buffer));
    tables.set(kind, slab.at);
    return slab.at;
  };
  shared = { run, window: window.bytes, at: window.at, tableOf };
  return shared;
}

const ones = (kind: CrcKind): bigint => (1n << BigInt(kind.bits)) - 1n;

/** Goes on from `crc` (0 at the start). */
export function updateCrc(kind: CrcKind): Update {
  const { run, window, at, tableOf } = engine();
  const table = tableOf(kind);
  return (crc, bytes) => {
    let now = crc ^ ones(kind);
    for (let from = 0; from < bytes.length; from += windowBytes) {
      const piece = bytes.subarray(from, from + windowBytes);
      window.set(piece);
      now = BigInt.asUintN(64, run(at, piece.length, BigInt.asIntN(64, now), table));
    }
    return now ^ ones(kind);
  };
}

/** The CRC of two stretches together, from theirs: the first is moved over the bits of the second. */
export function combineCrc(kind: CrcKind, first: bigint, second: bigint, secondBytes: number): bigint {
  let crc = first;
  let shift = powerOf(kind);
  for (let left = secondBytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) crc = multiply(kind, shift, crc);
    shift = multiply(kind, shift, shift);
  }
  return crc ^ second;
}

/** x^8 modulo the polynomial, in the reflected form. */
function powerOf(kind: CrcKind): bigint {
  return 1n << BigInt(kind.bits - 9);
}

/** Product of two polynomials modulo the CRC's, in the reflected form. */
function multiply(kind: CrcKind, a: bigint, b: bigint): bigint {
  let product = 0n;
  let factor = b;
  for (let bit = BigInt(kind.bits - 1); bit >= 0n; bit--) {
    if (((a >> bit) & 1n) === 1n) product ^= factor;
    factor = (factor & 1n) === 1n ? (factor >> 1n) ^ kind.polynomial : factor >> 1n;
  }
  return product;
}
