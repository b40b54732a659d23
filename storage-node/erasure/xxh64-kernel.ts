import { type Code, compile, get, i32, i64, ifThen, op, set, type, type WasmFunction, whileLoop } from './assembler.ts';

const prime = [
  0x9e37_79b1_85eb_ca87n,
  0xc2b2_ae3d_27d4_eb4fn,
  0x1656_67b1_9e37_79f9n,
  0x85eb_ca77_c2b2_ae63n,
  0x27d4_eb2f_1656_67c5n,
] as const;

export type Xxh64Kernel = (at: number, length: number, seed: bigint) => bigint;

/** XXH64 (xxhash specification 0.1.1), little-endian lanes, over arena memory. */
export function makeXxh64Kernel(memory: WebAssembly.Memory): Xxh64Kernel {
  const [at, length, seed, end, hash, v1] = [0, 1, 2, 3, 4, 5] as const;
  const lanes = [v1, v1 + 1, v1 + 2, v1 + 3];
  const rotl = (bits: bigint): Code => [i64(bits), op.i64Rotl];
  const times = (n: number): Code => [i64(prime[n - 1]!), op.i64Mul];
  /** Takes accumulator and input from the stack. */
  const round: Code = [times(2), op.i64Add, rotl(31n), times(1)];
  const advance = (by: number): Code => [get(at), i32(by), op.i32Add, set(at)];
  const left = (bytes: number): Code => [get(end), get(at), op.i32Sub, i32(bytes), op.i32GeU];
  const starts = [prime[0] + prime[1], prime[1], 0n, -prime[0]];
  const merge = (lane: number): Code => [
    [get(hash), i64(0n), get(lane), round, op.i64Xor, times(1), i64(prime[3]), op.i64Add, set(hash)],
  ];
  const shiftXor = (bits: bigint): Code => [get(hash), get(hash), i64(bits), op.i64ShrU, op.i64Xor];
  const long: Code = [
    lanes.map((lane, n): Code => [get(seed), i64(starts[n]!), op.i64Add, set(lane)]),
    whileLoop(left(32), [
      lanes.map((lane, n): Code => [get(lane), get(at), op.i64Load(n * 8), round, set(lane)]),
      advance(32),
    ]),
    [1n, 7n, 12n, 18n].map((bits, n): Code => [get(lanes[n]!), rotl(bits), n === 0 ? [] : op.i64Add]),
    set(hash),
    lanes.map(merge),
  ];
  const body: Code = [
    [get(at), get(length), op.i32Add, set(end)],
    [get(seed), i64(prime[4]), op.i64Add, set(hash)],
    ifThen([get(length), i32(32), op.i32GeU], long),
    [get(hash), get(length), op.i64ExtendU, op.i64Add, set(hash)],
    whileLoop(left(8), [
      [
        get(hash),
        i64(0n),
        get(at),
        op.i64Load(),
        round,
        op.i64Xor,
        rotl(27n),
        times(1),
        i64(prime[3]),
        op.i64Add,
        set(hash),
      ],
      advance(8),
    ]),
    ifThen(left(4), [
      [
        get(hash),
        get(at),
        op.i32Load(),
        op.i64ExtendU,
        times(1),
        op.i64Xor,
        rotl(23n),
        times(2),
        i64(prime[2]),
        op.i64Add,
        set(hash),
      ],
      advance(4),
    ]),
    whileLoop(left(1), [
      [get(hash), get(at), op.i32Load8(), op.i64ExtendU, times(5), op.i64Xor, rotl(11n), times(1), set(hash)],
      advance(1),
    ]),
    [shiftXor(33n), times(2), set(hash)],
    [shiftXor(29n), times(3), set(hash)],
    shiftXor(32n),
  ];
  const kernel: WasmFunction = {
    name: 'run',
    parameters: [type.i32, type.i32, type.i64],
    results: [type.i64],
    locals: [type.i32, ...Array<number>(5).fill(type.i64)],
    body,
  };
  const run = compile([kernel], memory)['run'] as unknown as Xxh64Kernel;
  return (address, bytes, start) => BigInt.asUintN(64, run(address, bytes, BigInt.asIntN(64, start)));
}
