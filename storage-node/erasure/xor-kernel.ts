import { type Code, compile, get, i32, ifThen, op, set, tee, type, type WasmFunction, whileLoop } from './assembler.ts';
import { type Matrix, packetRows } from './matrix.ts';
import { tileBytes } from './oracle.ts';

const vectorBytes = 16;
const packetBytes = tileBytes / 4;

/** Combines inputs into outputs. Both parameters are addresses of tables of 32-bit addresses; length a multiple of 64. */
export type XorKernel = (inputTable: number, outputTable: number, length: number) => void;

/**
 * Generates the kernel of one matrix: for every 16 bytes of each packet it loads all inputs once and stores every output
 * as an XOR of some of them. No tables, no shuffles, no branches inside.
 */
export function makeXorKernel(matrix: Matrix, memory: WebAssembly.Memory): XorKernel {
  const inputs = matrix[0]!.length;
  const outputs = matrix.length;
  const rows = packetRows(matrix);
  // Locals: three parameters, addresses of inputs and outputs, then position, packet size, its multiples, scratch.
  const inputBase = 3;
  const outputBase = inputBase + inputs;
  const position = outputBase + outputs;
  const packet = position + 1;
  const packetTimes = [-1, packet, packet + 1, packet + 2];
  const address = packet + 3;
  const loaded = address + 1;

  const bases = [...Array(inputs).keys()].map((i): Code => [get(0), op.i32Load(i * 4), set(inputBase + i)]);
  const targets = [...Array(outputs).keys()].map((i): Code => [get(1), op.i32Load(i * 4), set(outputBase + i)]);
  const sumOf = (sources: readonly number[]): Code =>
    sources.map((source, n): Code => (n === 0 ? get(loaded + source) : [get(loaded + source), op.v128Xor]));

  /** One step of 16 bytes. `offsetOf` adds what lies between the packets of a shard. */
  const step = (load: (packetNo: number) => Code, store: (packetNo: number, value: Code) => Code): Code => [
    [...Array(inputs).keys()].map((i): Code => [
      [get(inputBase + i), get(position), op.i32Add, set(address)],
      [0, 1, 2, 3].map((p): Code => [load(p), set(loaded + i * 4 + p)]),
    ]),
    [...Array(outputs).keys()].map((o): Code => [
      [get(outputBase + o), get(position), op.i32Add, set(address)],
      [0, 1, 2, 3].map((p): Code => store(p, sumOf(rows[o * 4 + p]!))),
    ]),
    [get(position), i32(vectorBytes), op.i32Add, set(position)],
  ];
  const fullStep = step(
    (p) => [get(address), op.v128Load(p * packetBytes)],
    (p, value) => [get(address), value, op.v128Store(p * packetBytes)],
  );
  const between = (p: number): Code => (p === 0 ? get(address) : [get(address), get(packetTimes[p]!), op.i32Add]);
  const tailStep = step(
    (p) => [between(p), op.v128Load()],
    (p, value) => [between(p), value, op.v128Store()],
  );
  const advance = (by: Code): Code =>
    [...Array(inputs + outputs).keys()].map((i): Code => [get(inputBase + i), by, op.i32Add, set(inputBase + i)]);
  const body: Code = [
    bases,
    targets,
    whileLoop(
      [get(2), i32(tileBytes), op.i32GeU],
      [
        [i32(0), set(position)],
        whileLoop([get(position), i32(packetBytes), op.i32LtU], fullStep),
        advance(i32(tileBytes)),
        [get(2), i32(tileBytes), op.i32Sub, set(2)],
      ],
    ),
    ifThen(get(2), [
      [
        get(2),
        i32(2),
        op.i32ShrU,
        tee(packet),
        i32(1),
        op.i32Shl,
        tee(packet + 1),
        get(packet),
        op.i32Add,
        set(packet + 2),
      ],
      [i32(0), set(position)],
      whileLoop([get(position), get(packet), op.i32LtU], tailStep),
    ]),
  ];
  const kernel: WasmFunction = {
    name: 'run',
    parameters: [type.i32, type.i32, type.i32],
    results: [],
    locals: [...Array<number>(inputs + outputs + 5).fill(type.i32), ...Array<number>(inputs * 4).fill(type.v128)],
    body,
  };
  return compile([kernel], memory)['run'] as unknown as XorKernel;
}
