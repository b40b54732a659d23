/** WAL positions as PostgreSQL writes them (`0/3000148`), compared as numbers. */

/** Position as a number of bytes since the start of the log; `null` for what is not a position. */
export function parseLsn(text: string | null | undefined): bigint | null {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text ?? '');
  return match === null ? null : (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Whether `reached` is at or behind which `wanted` lies; false when either is unknown. */
export function hasReached(reached: string | null | undefined, wanted: string | null | undefined): boolean {
  const [at, goal] = [parseLsn(reached), parseLsn(wanted)];
  return at !== null && goal !== null && at >= goal;
}

/** `ahead − behind` in bytes, never below 0; `null` when either is unknown. */
export function bytesBetween(ahead: string | null | undefined, behind: string | null | undefined): number | null {
  const [high, low] = [parseLsn(ahead), parseLsn(behind)];
  if (high === null || low === null) return null;
  return high > low ? Number(high - low) : 0;
}
