import { request } from 'undici';
import type { AgentAddress } from '../activities/guard/client.ts';
import type { ClockName } from '../workflows/engine/plan.ts';
import type { ServiceWatch } from './watch/context.ts';

/** What the watch of the control plane makes of a service; null when it does not answer. */
export async function readWatch(control: AgentAddress, service: string): Promise<ServiceWatch | null> {
  try {
    const headers = { authorization: `Bearer ${control.token}` };
    const answer = await request(new URL('/v1/watch', control.url), { headers, signal: AbortSignal.timeout(1_000) });
    const watches = (await answer.body.json()) as ServiceWatch[];
    return answer.statusCode === 200 ? (watches.find((w) => w.service === service) ?? null) : null;
  } catch {
    return null;
  }
}

/** The moments before a run, as far as the watch saw them; a person who orders an unplanned failover declares it now. */
export function clocksOf(watch: ServiceWatch | null, declaredAtMs: number): Partial<Record<ClockName, number>> {
  return {
    ...(watch !== null && watch.faultAtMs !== null && { fault: watch.faultAtMs }),
    ...(watch !== null && watch.detectedAtMs !== null && { detected: watch.detectedAtMs }),
    declared: declaredAtMs,
  };
}
