import { type Code, compile, get, i32, op, set, tee, type, type WasmFunction, whileLoop } from './assembler.ts';

/** The most streams that one call digests side by side. */
export const md5Lanes = 8;
/** Widths there are kernels for: empty lanes cost as much as full ones. */
export const md5Widths = [4, 8] as const;
export type Md5Width = (typeof md5Widths)[number];

const shifts = [
  [7, 12, 17, 22],
  [5, 9, 14, 20],
  [4, 11, 16, 23],
  [6, 10, 15, 21],
] as const;
const sines = Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32));
/** Which word of the block step i uses (RFC 1321 §3.4). */
const wordOf = (i: number): number => [i, 5 * i + 1, 3 * i + 5, 7 * i][i >> 4]! % 16;

/** The operations of one width: 32-bit integers, or vectors of four of them. */
interface Width {
  add: Code;
  and: Code;
  /** a and not b. */
  andNot: Code;
  or: Code;
  xor: Code;
  not: Code;
  constant: (value: number) => Code;
  rotl: (bits: number, scratch: number) => Code;
}

const scalar: Width = {
  add: op.i32Add,
  and: op.i32And,
  andNot: [i32(-1), op.i32Xor, op.i32And],
  or: op.i32Or,
  xor: op.i32Xor,
  not: [i32(-1), op.i32Xor],
  constant: i32,
  rotl: (bits) => [i32(bits), op.i32Rotl],
};
const wide: Width = {
  add: op.i32x4Add,
  and: op.v128And,
  andNot: op.v128AndNot,
  or: op.v128Or,
  xor: op.v128Xor,
  not: op.v128Not,
  constant: (value) => [i32(value), op.i32x4Splat],
  rotl: (bits, scratch) => [
    tee(scratch),
    [i32(bits), op.i32x4Shl],
    [get(scratch), i32(32 - bits), op.i32x4ShrU],
    op.v128Or,
  ],
};

interface Registers {
  a: number;
  b: number;
  c: number;
  d: number;
  scratch: number;
}

/**
 * Adds F, G, H or I of step i, on b, c and d, to what is on the stack. Every step waits for b of the one before, so what
 * does not need b is added first: the chain through b is what the time goes by.
 */
function addMix(width: Width, i: number, { b, c, d }: Registers): Code {
  switch (i >> 4) {
    case 0:
      return [get(c), get(d), width.xor, get(b), width.and, get(d), width.xor, width.add];
    case 1:
      // The two halves share no bit, so they may be added.
      return [get(c), get(d), width.andNot, width.add, get(b), get(d), width.and, width.add];
    case 2:
      return [get(c), get(d), width.xor, get(b), width.xor, width.add];
    default:
      return [get(d), width.not, get(b), width.or, get(c), width.xor, width.add];
  }
}

/** One step for one set of registers; the caller turns the registers. */
function step(width: Width, i: number, registers: Registers, word: Code): Code {
  const { a, b, scratch } = registers;
  return [
    [get(a), word, width.add, width.constant(sines[i]!), width.add],
    addMix(width, i, registers),
    [width.rotl(shifts[i >> 4]![i % 4]!, scratch), get(b), width.add, set(a)],
  ];
}

function turned(registers: Registers, times: number): Registers {
  const names = [registers.a, registers.b, registers.c, registers.d];
  const pick = (n: number): number => names[(n - times + 64) % 4]!;
  return { a: pick(0), b: pick(1), c: pick(2), d: pick(3), scratch: registers.scratch };
}

type Run = (states: number, dataOrTable: number, blocks: number) => void;

/** Kernels by width; each is compiled when it is first needed. */
export interface Md5Kernel {
  /** State of 16 bytes, address of the data. */
  one: Run;
  /** States as vectors (for each four lanes a, b, c, d), address of a table of addresses. */
  many(width: Md5Width): Run;
}

export function makeMd5Kernel(memory: WebAssembly.Memory): Md5Kernel {
  const made = new Map<number, Run>();
  const many = (width: Md5Width): Run => {
    const known = made.get(width);
    if (known !== undefined) return known;
    const run = compile([manyStreams(width)], memory)['many'] as unknown as Run;
    made.set(width, run);
    return run;
  };
  return { one: compile([oneStream()], memory)['one'] as unknown as Run, many };
}

function oneStream(): WasmFunction {
  const [state, data, blocks] = [0, 1, 2] as const;
  const registers: Registers = { a: 3, b: 4, c: 5, d: 6, scratch: 7 };
  const all = [registers.a, registers.b, registers.c, registers.d];
  const steps = Array.from({ length: 64 }, (_, i): Code =>
    step(scalar, i, turned(registers, i), [get(data), op.i32Load(wordOf(i) * 4)]),
  );
  const body: Code = [
    all.map((local, i): Code => [get(state), op.i32Load(i * 4), set(local)]),
    whileLoop(get(blocks), [
      steps,
      all.map((local, i): Code => [
        get(state),
        get(local),
        get(state),
        op.i32Load(i * 4),
        op.i32Add,
        tee(local),
        op.i32Store(i * 4),
      ]),
      [get(data), i32(64), op.i32Add, set(data)],
      [get(blocks), i32(1), op.i32Sub, set(blocks)],
    ]),
  ];
  const parameters = [type.i32, type.i32, type.i32];
  return { name: 'one', parameters, results: [], locals: Array<number>(5).fill(type.i32), body };
}

/** Bytes behind the states that `many` keeps the words of one block of each lane in, as vectors. */
export const md5WordBytes = 64 * md5Lanes;

/** Vectors of one group while its words are turned. */
type Quarter = readonly [number, number, number, number];

/** Four rows of four words become four columns; `rows` are overwritten. */
function transpose([r0, r1, r2, r3]: Quarter, scratch: Quarter, store: (n: number, value: Code) => Code): Code {
  const [low0, high0, low1, high1] = scratch;
  const pick = (one: number, other: number, lanes: Quarter): Code => [get(one), get(other), op.shuffle32(lanes)];
  return [
    [pick(r0, r1, [0, 4, 1, 5]), set(low0), pick(r0, r1, [2, 6, 3, 7]), set(high0)],
    [pick(r2, r3, [0, 4, 1, 5]), set(low1), pick(r2, r3, [2, 6, 3, 7]), set(high1)],
    [store(0, pick(low0, low1, [0, 1, 4, 5])), store(1, pick(low0, low1, [2, 3, 6, 7]))],
    [store(2, pick(high0, high1, [0, 1, 4, 5])), store(3, pick(high0, high1, [2, 3, 6, 7]))],
  ];
}

/**
 * States lie as vectors: for each group of four lanes a, b, c, d. The words of a block are turned into vectors first, since
 * each is used four times. The groups' steps are interleaved, because one chain alone waits for itself most of the time.
 */
function manyStreams(width: Md5Width): WasmFunction {
  const [states, table, blocks] = [0, 1, 2] as const;
  const pointer = (lane: number): number => 3 + lane;
  const vectors = width / 4;
  const firstVector = 3 + width;
  const registersOf = (group: number): Registers => {
    const a = firstVector + group * 5;
    return { a, b: a + 1, c: a + 2, d: a + 3, scratch: a + 4 };
  };
  const rows = firstVector + vectors * 5;
  const groups = [...Array(vectors).keys()];
  const lanes = [...Array(width).keys()];
  const wordAt = (group: number, word: number): number => 16 * md5Lanes + group * 256 + word * 16;
  const turnWords = (group: number): Code =>
    [0, 1, 2, 3].map((quarter): Code => [
      [0, 1, 2, 3].map((n): Code => [get(pointer(group * 4 + n)), op.v128Load(quarter * 16), set(rows + n)]),
      transpose([rows, rows + 1, rows + 2, rows + 3], [rows + 4, rows + 5, rows + 6, rows + 7], (n, value) => [
        [get(states), value, op.v128Store(wordAt(group, quarter * 4 + n))],
      ]),
    ]);
  const word = (group: number, i: number): Code => [get(states), op.v128Load(wordAt(group, wordOf(i)))];
  const steps = Array.from({ length: 64 }, (_, i): Code =>
    groups.map((group) => step(wide, i, turned(registersOf(group), i), word(group, i))),
  );
  const each = (make: (local: number, offset: number) => Code): Code =>
    groups.map((group): Code => {
      const { a, b, c, d } = registersOf(group);
      return [a, b, c, d].map((local, n): Code => make(local, group * 64 + n * 16));
    });
  const body: Code = [
    lanes.map((lane): Code => [get(table), op.i32Load(lane * 4), set(pointer(lane))]),
    each((local, offset) => [get(states), op.v128Load(offset), set(local)]),
    whileLoop(get(blocks), [
      groups.map(turnWords),
      steps,
      each((local, offset) => [
        get(states),
        get(local),
        get(states),
        op.v128Load(offset),
        op.i32x4Add,
        tee(local),
        op.v128Store(offset),
      ]),
      lanes.map((lane): Code => [get(pointer(lane)), i32(64), op.i32Add, set(pointer(lane))]),
      [get(blocks), i32(1), op.i32Sub, set(blocks)],
    ]),
  ];
  const locals = [...Array<number>(width).fill(type.i32), ...Array<number>(vectors * 5 + 8).fill(type.v128)];
  return { name: 'many', parameters: [type.i32, type.i32, type.i32], results: [], locals, body };
}
