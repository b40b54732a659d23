/** Whether `npm test -- --long` is running: the nights' share of tests that could go on for ever. */
export const isLong = process.env['MUSTER_TEST_LONG'] === '1';

/** How often something is repeated: in each `npm test`, and in a long one. */
export function repeated(usually: number, inLong: number): number {
  return isLong ? inLong : usually;
}
