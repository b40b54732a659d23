import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { PerformOutcome, VerbContext, VerbInput } from '../../driver.ts';
import { readEntry, type EntryView } from './admin-client.ts';
import { evidenceOf, refuseNewer } from './order.ts';

/** Enough distinct clients to say that the service is back, when there were as many before. */
const enoughWriters = 10;
const pollMs = 20;
/** Left for the answer itself, milliseconds. */
const marginMs = 250;

/**
 * Real clients write at the new site: as many distinct ones as wrote in the ten seconds before the route, ten at most,
 * have had a write acknowledged there since. Without any client, the application's own word that it accepts writes.
 * Throws VERIFY_FAILED when that has not come true in time.
 */
export async function verify(input: VerbInput, context: VerbContext): Promise<PerformOutcome> {
  const untilMs = performance.now() + Math.max(input.timeoutMs - marginMs, input.timeoutMs / 2);
  for (;;) {
    const view = await readEntry(input, context);
    refuseNewer(view, input);
    const { missing, evidence } = judge(view, input.plan.to);
    if (missing === null) return { status: 'done', evidence: { ...evidenceOf(view), ...evidence }, measurements: [] };
    if (performance.now() > untilMs) throw new MusterError('VERIFY_FAILED', `${input.resource.name}: ${missing}`);
    context.heartbeat(missing);
    await sleep(pollMs, undefined, { signal: context.signal });
  }
}

function judge(view: EntryView, site: string) {
  const wanted = Math.min(enoughWriters, view.writersBeforeRoute);
  const writers = view.stats[site]?.writersSinceRoute ?? 0;
  const writes = view.stats[site]?.writesOkSinceRoute ?? 0;
  const healthy = view.upstreams.some((upstream) => upstream.site === site && upstream.healthy);
  const evidence = { writers, writersWanted: wanted, writes, by: wanted > 0 ? 'clients' : 'health check' };
  if (view.route !== site || view.mode !== 'open') {
    return { missing: `the entry leads to ${view.route ?? 'nobody'} and is ${view.mode}`, evidence };
  }
  if (wanted === 0) return { missing: healthy ? null : `the application at ${site} does not accept writes`, evidence };
  return { missing: writers >= wanted ? null : `${writers} of ${wanted} clients have written at ${site}`, evidence };
}
