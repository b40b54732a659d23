import { MusterError } from '../../../workflows/engine/errors.ts';

/** Deletes that a run is about to do, and what there is. */
export interface Deletes {
  deletes: number;
  /** Objects at the target that the run is about. */
  present: number;
}

/** What may be deleted without being asked: a tenth. */
export const usualDeleteShare = 0.1;

export function isTooMuch({ deletes, present }: Deletes, share: number): boolean {
  return deletes > 0 && deletes > Math.floor(present * share);
}

/** @throws DELETE_GUARD naming both counts and the share */
export function guardDeletes(counted: Deletes, share: number, where: string): void {
  if (!isTooMuch(counted, share)) return;
  const percent = (100 * counted.deletes) / Math.max(1, counted.present);
  throw new MusterError(
    'DELETE_GUARD',
    `${counted.deletes} of ${counted.present} objects in ${where} would be deleted (${percent.toFixed(1)} %, allowed are ${(100 * share).toFixed(1)} %)`,
  );
}
