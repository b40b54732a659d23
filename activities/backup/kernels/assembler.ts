/** Just enough of a WebAssembly assembler for the kernels here. Opcodes are those of the specification. */

export type Code = (number | Code)[];

/** Unsigned LEB128. */
function u32(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  do {
    const low = left % 128;
    left = Math.floor(left / 128);
    bytes.push(left > 0 ? low | 0x80 : low);
  } while (left > 0);
  return bytes;
}

/** Signed LEB128 of up to 64 bits. */
function signed(value: bigint): number[] {
  const bytes: number[] = [];
  let left = value;
  for (;;) {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    const done = (left === 0n && (low & 0x40) === 0) || (left === -1n && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

export const type = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const;

export const get = (local: number): Code => [0x20, u32(local)];
export const set = (local: number): Code => [0x21, u32(local)];
export const tee = (local: number): Code => [0x22, u32(local)];
export const i32 = (value: number): Code => [0x41, signed(BigInt(value | 0))];
export const i64 = (value: bigint): Code => [0x42, signed(BigInt.asIntN(64, value))];
const simd = (opcode: number): Code => [0xfd, u32(opcode)];
/** A memory argument: no promise of alignment, a constant offset. */
const at = (offset: number): Code => [0, u32(offset)];

export const op = {
  i32Load8: (offset = 0): Code => [0x2d, at(offset)],
  i64Load: (offset = 0): Code => [0x29, at(offset)],
  i64Load32: (offset = 0): Code => [0x34, at(offset)],
  i32Store: (offset = 0): Code => [0x36, at(offset)],
  i64Store: (offset = 0): Code => [0x37, at(offset)],
  i32Eqz: [0x45] as Code,
  i32LtU: [0x49] as Code,
  i64LtU: [0x54] as Code,
  i32Add: [0x6a] as Code,
  i32Sub: [0x6b] as Code,
  i32Mul: [0x6c] as Code,
  i32And: [0x71] as Code,
  i32Shl: [0x74] as Code,
  i64Add: [0x7c] as Code,
  i64Mul: [0x7e] as Code,
  i64And: [0x83] as Code,
  i64Shl: [0x86] as Code,
  i64ShrS: [0x87] as Code,
  i64ShrU: [0x88] as Code,
  i32WrapI64: [0xa7] as Code,
  i64ExtendS: [0xac] as Code,
  select: [0x1b] as Code,
  returned: [0x0f] as Code,
  v128Load: (offset = 0): Code => [simd(0), at(offset)],
  v128And: simd(78),
  v128Xor: simd(81),
  i16x8Splat: simd(16),
  i32x4Splat: simd(17),
  i32x4ExtractLane: (lane: number): Code => [simd(27), lane],
  i32x4Shl: simd(171),
  i32x4ShrS: simd(172),
  i32x4Add: simd(174),
  /** Products of signed 16-bit lanes, neighbours added. */
  i32x4Dot: simd(186),
  /** Picks four 32-bit lanes from two vectors: 0..3 are those of the first, 4..7 of the second. */
  shuffle32: (lanes: readonly [number, number, number, number]): Code => [
    simd(13),
    ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
  ],
} as const;

/** Repeats while `condition` leaves something other than 0; it is asked first. */
export function whileLoop(condition: Code, body: Code): Code {
  return [0x02, 0x40, 0x03, 0x40, condition, op.i32Eqz, 0x0d, 1, body, 0x0c, 0, 0x0b, 0x0b];
}

export function ifThen(condition: Code, body: Code): Code {
  return [condition, 0x04, 0x40, body, 0x0b];
}

export interface WasmFunction {
  name: string;
  parameters: readonly number[];
  results: readonly number[];
  /** Types of the locals behind the parameters. */
  locals: readonly number[];
  body: Code;
}

/** Compiles functions that import the memory `env.memory`. */
export function assemble(functions: readonly WasmFunction[]): WebAssembly.Module {
  const types = list(
    functions.map((one): Code => [0x60, list(one.parameters.map((t) => [t])), list(one.results.map((t) => [t]))]),
  );
  const imports = list([[text('env'), text('memory'), 0x02, 0x01, u32(0), u32(maximumPages)]]);
  const exports = list(functions.map((one, i): Code => [text(one.name), 0x00, u32(i)]));
  const bodies = functions.map((one): Code => {
    const content: Code = [list(runs(one.locals)), one.body, 0x0b];
    return [u32(bytesOf(content).length), content];
  });
  const module: Code = [
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    section(1, types),
    section(2, imports),
    section(3, list(functions.map((_, i) => u32(i)))),
    section(7, exports),
    section(10, list(bodies)),
  ];
  return new WebAssembly.Module(Uint8Array.from(bytesOf(module)));
}

/** The most that a memory may declare to be imported. */
const maximumPages = 65_536;

const bytesOf = (code: Code): number[] => (code as unknown[]).flat(Number.POSITIVE_INFINITY) as number[];
const section = (id: number, content: Code): Code => [id, u32(bytesOf(content).length), content];
const text = (value: string): Code => [u32(value.length), ...Buffer.from(value)];
const list = (items: readonly Code[]): Code => [u32(items.length), ...items];

/** Locals of one type in a row are declared together. */
function runs(locals: readonly number[]): Code[] {
  const found: { count: number; kind: number }[] = [];
  for (const kind of locals) {
    const last = found.at(-1);
    if (last?.kind === kind) last.count += 1;
    else found.push({ count: 1, kind });
  }
  return found.map(({ count, kind }) => [u32(count), kind]);
}
