import path from 'node:path';
import { MusterError } from '../../../../workflows/engine/errors.ts';
import type { Measurement } from '../../../../workflows/engine/measure.ts';
import { shareLedger } from '../../../mover/ledger/shared-ledger.ts';
import type { PerformOutcome, VerbInput } from '../../../driver.ts';
import type { DriverServices } from '../../guarded/services.ts';
import { done, measure } from '../../guarded/verb.ts';
import { backlogFigures, directoryOf, lastWriteMs, method, secondsLost, statusOf, turnOfMove } from './look.ts';

/** How far the other site is behind now, as the replication tells; over the objective or unknown it is put before a person. */
export function lagOfNow(input: VerbInput, services: DriverServices): PerformOutcome {
  const { plan } = input;
  const status = statusOf(input, services, plan);
  const told = typeof status === 'string' ? null : status;
  const seconds = told?.phase === 'following' ? told.oldestPendingAgeSeconds : null;
  const inside = seconds !== null && seconds <= plan.objectives.rpoSeconds;
  const figures = told === null ? [] : backlogFigures(input, told);
  if (!inside) figures.push(measure(input, 'rpoSeconds', 's', { value: seconds, method, confidence: 'estimated' }));
  const why = typeof status === 'string' ? status : status.why;
  return done({ ...told, inside, why }, figures);
}

/**
 * What would be lost if the move were made now. In a planned one nothing is, if all goes well: there it is a forecast,
 * unless it is unknown or over the objective.
 */
export async function lossIfNow(input: VerbInput, services: DriverServices): Promise<Measurement> {
  const { plan } = input;
  const value = await seconds(input, services);
  const isFigure = plan.mode === 'ungraceful' || value === null || value > plan.objectives.rpoSeconds;
  const name = isFigure ? 'rpoSeconds' : 'rpoForecastSeconds';
  return measure(input, name, 's', { value, method, confidence: 'estimated' });
}

async function seconds(input: VerbInput, services: DriverServices): Promise<number | null> {
  try {
    const { ledger: name } = turnOfMove(input, services);
    await using shared = await shareLedger(path.join(directoryOf(input, services), name));
    const [{ oldestDueMs }, observed] = [await shared.ledger.totals(), await shared.ledger.observed()];
    return secondsLost({ observed, oldestDueMs }, lastWriteMs(input) ?? services.nowMs());
  } catch (err) {
    if (err instanceof MusterError) return null;
    throw err;
  }
}
