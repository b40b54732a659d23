/** Just enough of a WebAssembly assembler for the CRC kernels. Opcodes are those of the specification. */

export type Code = readonly (number | Code)[];

/** Types of parameters, results and locals. */
export const type = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const;

function flat(code: Code): number[] {
  return code.flatMap((one) => (typeof one === 'number' ? [one] : flat(one)));
}

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 0x80, ...unsigned(Math.floor(value / 128))];
}

/** Signed LEB128. */
function signed(value: bigint): number[] {
  const low = Number(value & 0x7fn);
  const rest = value >> 7n;
  return rest === (low & 0x40 ? -1n : 0n) ? [low] : [low | 0x80, ...signed(rest)];
}

export const get = (local: number): Code => [0x20, unsigned(local)];
export const set = (local: number): Code => [0x21, unsigned(local)];
export const i32 = (value: number): Code => [0x41, signed(BigInt(value))];
export const i64 = (value: bigint): Code => [0x42, signed(value)];

/** Alignment as a power of two (a hint), and a constant distance. */
const memory = (alignment: number, offset: number): Code => [unsigned(alignment), unsigned(offset)];
export const load8 = (offset = 0): Code => [0x31, memory(0, offset)];
export const load64 = (offset = 0): Code => [0x29, memory(0, offset)];
export const load128 = (offset = 0): Code => [0xfd, 0, memory(0, offset)];
export const store64 = (offset = 0): Code => [0x37, memory(0, offset)];
export const store128 = (offset = 0): Code => [0xfd, 11, memory(0, offset)];

export const add32: Code = [0x6a];
export const sub32: Code = [0x6b];
export const less32: Code = [0x49];
export const and64: Code = [0x83];
export const xor64: Code = [0x85];
export const shiftLeft64: Code = [0x86];
export const shiftRight64: Code = [0x88];
export const wrap64: Code = [0xa7];
export const xor128: Code = [0xfd, 81];

/** Repeats `body` while `condition`, asked first, leaves something other than 0. */
export function loop(condition: Code, body: Code): Code {
  return [0x02, 0x40, 0x03, 0x40, condition, 0x45, 0x0d, 1, body, 0x0c, 0, 0x0b, 0x0b];
}

export interface Kernel {
  parameters: readonly number[];
  results: readonly number[];
  locals: readonly number[];
  body: Code;
}

/** The functions of `kernels`, by name, over a memory of their own of so many pages of 64 KiB. */
export function assemble<Names extends string>(
  kernels: Record<Names, Kernel>,
  pages: number,
): { functions: Record<Names, (...args: never[]) => unknown>; memory: Uint8Array } {
  const names = Object.keys(kernels) as Names[];
  const list = (items: readonly Code[]): Code => [unsigned(items.length), ...items];
  const sized = (content: Code): Code => [unsigned(flat(content).length), content];
  const exported = (name: string, kind: number, index: number): Code => [
    ...[unsigned(name.length), [...Buffer.from(name)], kind, unsigned(index)],
  ];
  const types = names.map((name): Code => {
    const { parameters, results } = kernels[name];
    return [0x60, list(parameters.map((one) => [one])), list(results.map((one) => [one]))];
  });
  const bodies = names.map((name): Code => {
    const { locals, body } = kernels[name];
    return sized([list(locals.map((one) => [1, one])), body, 0x0b]);
  });
  const module: Code = [
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    [1, sized(list(types))],
    [3, sized(list(names.map((_, i) => unsigned(i))))],
    [5, sized(list([[0x01, unsigned(pages), unsigned(pages)]]))],
    [7, sized(list([...names.map((name, i) => exported(name, 0, i)), exported('memory', 2, 0)]))],
    [10, sized(list(bodies))],
  ];
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(flat(module))), {});
  return {
    functions: exports as Record<Names, (...args: never[]) => unknown>,
    memory: new Uint8Array((exports['memory'] as { buffer: ArrayBuffer }).buffer),
  };
}
