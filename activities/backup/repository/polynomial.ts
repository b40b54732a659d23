import { randomFillSync } from 'node:crypto';

/** Degree of the polynomial that restic's chunker divides by. A prime, which makes the test below short. */
const degree = 53;

/**
 * A random irreducible polynomial of degree 53 over GF(2), in hexadecimal, one bit a coefficient. Muster's own chunker
 * has no use for it: stock restic refuses repositories without one, and cuts its own files by it.
 */
export function randomPolynomial(): string {
  const random = new BigUint64Array(1);
  for (;;) {
    randomFillSync(random);
    const candidate = (BigInt.asUintN(degree, random[0] as bigint) | (1n << BigInt(degree)) | 1n) as bigint;
    if (isIrreducible(candidate)) return candidate.toString(16);
  }
}

/**
 * Rabin's test: f of prime degree n is irreducible when x^(2^n) = x modulo f, and it has no root. 0 is a root when the
 * constant term is missing, 1 when the number of terms is even.
 */
export function isIrreducible(f: bigint): boolean {
  if (degreeOf(f) !== degree || (f & 1n) === 0n || terms(f) % 2 === 0) return false;
  let power = 2n;
  for (let i = 0; i < degree; i += 1) power = modulo(square(power), f);
  return power === 2n;
}

const degreeOf = (f: bigint): number => f.toString(2).length - 1;
const terms = (f: bigint): number => f.toString(2).replaceAll('0', '').length;

/** Over GF(2) a square is the same coefficients at twice the exponents. */
function square(f: bigint): bigint {
  return BigInt(`0b${f.toString(2).split('').join('0')}`);
}

function modulo(value: bigint, f: bigint): bigint {
  let rest = value;
  for (let over = degreeOf(rest) - degree; over >= 0; over = degreeOf(rest) - degree) rest ^= f << BigInt(over);
  return rest;
}
