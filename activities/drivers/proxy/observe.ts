import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { readEntry } from './admin-client.ts';
import { evidenceOf } from './order.ts';

/** What passes the entry now: its mode and route, and what the clients of each site have met. */
export async function observe(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const view = await readEntry(input, context);
  const evidence = { ...evidenceOf(view), writersNow: view.writersNow, stats: view.stats };
  return { status: 'done', evidence, measurements: [] };
}
