import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { type ObjectClient } from '../../objects/types.ts';

export interface CredentialsWatch {
  refused(client: ObjectClient, err: MusterError): Promise<void>;
  /** Whose keys are waited for; undefined when all are good. */
  readonly waitingFor: string | undefined;
  /** Set once somebody waited in vain. */
  readonly gaveUp: MusterError | undefined;
}

/**
 * Holds up the calls of a side whose keys are refused and asks the bucket again and again, since providers read renewed
 * keys by themselves. All calls of a side wait for one asker.
 */
export function watchCredentials(options: {
  /** After so long without good keys it gives up. 0: at once. */
  waitMs: number;
  pollMs: number;
  onWait: (side: string, err: MusterError | undefined) => void;
  signal?: AbortSignal;
}): CredentialsWatch {
  const asking = new Map<ObjectClient, Promise<void>>();
  let waitingFor: string | undefined;
  let gaveUp: MusterError | undefined;

  async function untilGood(client: ObjectClient, err: MusterError): Promise<void> {
    const endsAtMs = performance.now() + options.waitMs;
    if (await isGood(client)) return;
    waitingFor = client.name;
    options.onWait(client.name, err);
    try {
      do {
        if (performance.now() >= endsAtMs) {
          gaveUp = err;
          throw err;
        }
        await sleep(options.pollMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
      } while (!(await isGood(client)));
    } finally {
      waitingFor = undefined;
      options.onWait(client.name, undefined);
    }
  }

  return {
    refused(client, err) {
      const asked = asking.get(client);
      if (asked !== undefined) return asked;
      const asks = untilGood(client, err).finally(() => asking.delete(client));
      asking.set(client, asks);
      return asks;
    },
    get waitingFor() {
      return waitingFor;
    },
    get gaveUp() {
      return gaveUp;
    },
  };
}

async function isGood(client: ObjectClient): Promise<boolean> {
  try {
    await client.headBucket();
    return true;
  } catch (err) {
    // Whatever else is wrong, the keys were not what failed.
    return !(err instanceof MusterError && err.code === 'CREDENTIALS_REFUSED');
  }
}
