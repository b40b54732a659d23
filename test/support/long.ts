/**
 * What `npm test` cuts short. Names of tests that only a long run has end with `(long)`, and they carry `leftOut`:
 * `npm test -- --long` runs them too, and `npm test -- --only-long`, a stage of continuous integration, nothing else.
 */
const extent = process.env['MUSTER_TEST_LONG'];

/** Why a test named `(long)` is not run, or false where it is. */
export const leftOut: string | false =
  extent === '1' || extent === 'only' ? false : 'takes long: npm test -- --long runs it';

/** How often something is repeated: in each `npm test`, and in the nights' `npm test -- --long`. */
export function repeated(usually: number, inLong: number): number {
  return extent === '1' ? inLong : usually;
}
