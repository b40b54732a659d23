import path from 'node:path';
import { removeLeftPlaces } from '../activities/protection/proof/place.ts';
import { usableDataHome } from '../activities/drivers/postgres/owner.ts';
import type { Log } from './log.ts';

const everyMs = 5 * 60_000;

/** Where this machine's workers lay down what is restored to be looked at. */
export function scratchOf(home: string): string {
  return path.join(usableDataHome(path.resolve(home)), 'scratch');
}

/**
 * Now, and from time to time, removes what workers of this machine that died for good have left of restore tests: their
 * servers would run for ever. Ends with the process.
 */
export function keepRemovingLeftPlaces({ home, log }: { home: string; log: Log }): void {
  const remove = async (): Promise<void> => {
    for (const { dir, why } of await removeLeftPlaces({ scratchDir: scratchOf(home) })) {
      if (why === null) log.warn({ dir }, 'removed what a restore test had left that never came back');
      else log.warn({ dir, err: why }, 'what a restore test has left cannot be removed');
    }
  };
  const tell = (err: unknown): void => log.warn({ err: String(err) }, 'cannot look for what restore tests have left');
  void remove().catch(tell);
  setInterval(() => void remove().catch(tell), everyMs).unref();
}
