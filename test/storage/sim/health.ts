import { type DriveHealth } from '../../../storage-node/store/set.ts';
import { type Clock } from '../../../storage-node/ports.ts';
import { type CallOutcome } from './remote-drive.ts';

/** How long a drive that did not answer is asked after others, milliseconds. */
const suspectMs = 500;

/** What a node learns of a drive from how calls to it went. */
export function createHealth(clock: Clock): DriveHealth & CallOutcome {
  let latencyMs = 1;
  let suspectUntilMs = Number.NEGATIVE_INFINITY;
  return {
    get suspect() {
      return clock.monotonicMs() < suspectUntilMs;
    },
    get readLatencyMs() {
      return latencyMs;
    },
    hedgeAfterMs: () => Math.min(100, Math.max(5, latencyMs * 3)),
    answered(tookMs) {
      latencyMs += 0.2 * (tookMs - latencyMs);
      suspectUntilMs = Number.NEGATIVE_INFINITY;
    },
    failed() {
      suspectUntilMs = clock.monotonicMs() + suspectMs;
    },
  };
}
