import { ApplicationFailure } from '@temporalio/common';
import type { Effect } from '../workflows/engine/plan.ts';
import { errorCatalogue, MusterError } from '../workflows/engine/errors.ts';

/** First detail of a failure after which the world is certainly as it was. The workflow shell looks for it. */
export const nothingChanged = 'nothing-changed';

/**
 * The only bridge from our errors to Temporal's. A MusterError says that nothing was changed; so does any error of a
 * verb that only reads. Anything else a changing verb throws may have left a change behind and is marked so by silence.
 */
export function toApplicationFailure(err: unknown, effect: Effect): ApplicationFailure {
  if (err instanceof MusterError) {
    const { retryable, hint } = errorCatalogue[err.code];
    return ApplicationFailure.create({
      type: err.code,
      message: err.message,
      nonRetryable: !retryable,
      details: [nothingChanged, { hint }],
    });
  }
  const message = err instanceof Error ? err.message : String(err);
  if (effect === 'read') return ApplicationFailure.create({ type: 'STEP_UNKNOWN', message, details: [nothingChanged] });
  return ApplicationFailure.create({ type: 'INTERNAL', message });
}
