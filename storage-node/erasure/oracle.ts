import { packetRows, parityMatrix, generatorMatrix, reconstructionMatrix, type Matrix } from './matrix.ts';

/** Bytes of a shard that are coded together: four packets of a quarter each. The last tile of a block may be shorter. */
export const tileBytes = 4096;

/** The same code in plain TypeScript, without kernels: slow, obvious, and what the kernels are tested against. */
export function encodePlainly(data: readonly Uint8Array[], parityShards: number): Uint8Array[] {
  return combine(parityMatrix(data.length, parityShards), data);
}

export function reconstructPlainly(
  present: readonly { shard: number; bytes: Uint8Array }[],
  wanted: readonly number[],
  parityShards: number,
): Uint8Array[] {
  const generator = generatorMatrix(present.length, parityShards);
  const matrix = reconstructionMatrix(
    generator,
    present.map(({ shard }) => shard),
    wanted,
  );
  return combine(
    matrix,
    present.map(({ bytes }) => bytes),
  );
}

function combine(matrix: Matrix, inputs: readonly Uint8Array[]): Uint8Array[] {
  const rows = packetRows(matrix);
  const length = inputs[0]!.length;
  const outputs = matrix.map(() => new Uint8Array(length));
  for (let tile = 0; tile < length; tile += tileBytes) {
    const packet = Math.min(tileBytes, length - tile) / 4;
    rows.forEach((sources, row) => {
      const output = outputs[Math.floor(row / 4)]!;
      const target = tile + (row % 4) * packet;
      for (const source of sources) {
        const input = inputs[Math.floor(source / 4)]!;
        const from = tile + (source % 4) * packet;
        for (let i = 0; i < packet; i++) output[target + i]! ^= input[from + i]!;
      }
    });
  }
  return outputs;
}
