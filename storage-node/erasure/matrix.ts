/**
 * Arithmetic of the code: Cauchy matrices over GF(2^4), and the same as matrices of bits.
 *
 * Every square submatrix of a Cauchy matrix can be inverted, so any k of the k+m shards give the rest. GF(16) has room
 * for k+m <= 16, which is all we use. As bits, multiplying by a constant is a 4x4 matrix, and the whole code is nothing
 * but XORs of packets. (Blömer et al., "An XOR-Based Erasure-Resilient Coding Scheme", 1995.)
 */

const fieldSize = 16;
/** x^4 + x + 1. */
const polynomial = 0b10011;

function multiplySlowly(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 4; bit++) {
    if ((b >> bit) & 1) product ^= a << bit;
  }
  for (let bit = 7; bit >= 4; bit--) {
    if ((product >> bit) & 1) product ^= polynomial << (bit - 4);
  }
  return product;
}

const products = Array.from({ length: fieldSize }, (_, a) =>
  Array.from({ length: fieldSize }, (_unused, b) => multiplySlowly(a, b)),
);
const inverses = products.map((row) => row.indexOf(1));

export function multiply(a: number, b: number): number {
  return products[a]![b]!;
}

/** @throws RangeError for 0. */
export function inverse(a: number): number {
  if (a === 0) throw new RangeError('0 has no inverse');
  return inverses[a]!;
}

export type Matrix = readonly (readonly number[])[];

/**
 * The rows that make parity out of data: m rows of k. Columns are scaled so that the first row is all ones (the first
 * parity shard is the plain XOR of the data), rows so that the first column is, which leaves fewer XORs to do.
 */
export function parityMatrix(dataShards: number, parityShards: number): Matrix {
  const raw = Array.from({ length: parityShards }, (_, i) =>
    Array.from({ length: dataShards }, (_unused, j) => inverse(i ^ (parityShards + j))),
  );
  const columns = raw[0]!.map(inverse);
  const scaled = raw.map((row) => row.map((value, j) => multiply(value, columns[j]!)));
  return scaled.map((row) => row.map((value) => multiply(value, inverse(row[0]!))));
}

/** All k+m shards as rows over the data: the identity, then parity. */
export function generatorMatrix(dataShards: number, parityShards: number): Matrix {
  const identity = Array.from({ length: dataShards }, (_, i) =>
    Array.from({ length: dataShards }, (_unused, j) => Number(i === j)),
  );
  return [...identity, ...parityMatrix(dataShards, parityShards)];
}

export function multiplyMatrices(left: Matrix, right: Matrix): Matrix {
  return left.map((row) =>
    right[0]!.map((_, j) => row.reduce((sum, value, i) => sum ^ multiply(value, right[i]![j]!), 0)),
  );
}

/** Gauss–Jordan. @returns undefined when it cannot be inverted. */
export function invert(matrix: Matrix): Matrix | undefined {
  const size = matrix.length;
  const work = matrix.map((row, i) => [...row, ...Array.from({ length: size }, (_, j) => Number(i === j))]);
  for (let column = 0; column < size; column++) {
    const pivot = work.findIndex((row, i) => i >= column && row[column] !== 0);
    if (pivot < 0) return undefined;
    [work[column], work[pivot]] = [work[pivot]!, work[column]!];
    const factor = inverse(work[column]![column]!);
    work[column] = work[column]!.map((value) => multiply(value, factor));
    for (let i = 0; i < size; i++) {
      const times = work[i]![column]!;
      if (i === column || times === 0) continue;
      work[i] = work[i]!.map((value, j) => value ^ multiply(times, work[column]![j]!));
    }
  }
  return work.map((row) => row.slice(size));
}

/**
 * The rows that make the wanted shards out of the present ones.
 * @param present k different shard numbers @returns one row of k for each wanted shard
 */
export function reconstructionMatrix(generator: Matrix, present: readonly number[], wanted: readonly number[]): Matrix {
  const decode = invert(present.map((shard) => generator[shard]!));
  if (decode === undefined) throw new Error(`shards ${present.join(', ')} cannot be decoded`);
  return multiplyMatrices(
    wanted.map((shard) => generator[shard]!),
    decode,
  );
}

/** Which input packets make each output packet: four packets a shard, numbered shard x 4 + packet. */
export function packetRows(matrix: Matrix): number[][] {
  return matrix.flatMap((row) =>
    [0, 1, 2, 3].map((bit) =>
      row.flatMap((value, shard) =>
        [0, 1, 2, 3].filter((packet) => (multiply(value, 1 << packet) >> bit) & 1).map((packet) => shard * 4 + packet),
      ),
    ),
  );
}
