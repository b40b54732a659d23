import { readServiceState } from './service-state.ts';
import { startRun } from './run-start.ts';
import { connectClient } from './temporal.ts';
import { planRun } from './planner.ts';
import { software } from './software.ts';
import { drawMermaid } from '../runbooks/draw.ts';
import type { EstateService } from '../runbooks/estate.ts';
import { hashEstate } from '../runbooks/hash.ts';
import type { ServiceWatch, WatchOptions } from './watch-loop.ts';

const askMs = 250;

/** Declares the disaster in the name of the policy and starts the failover that it pre-approves. */
export async function declareFailover(
  { estate, log, place, scenario }: WatchOptions,
  service: EstateService,
  seen: ServiceWatch,
): Promise<void> {
  const declaredAtMs = Date.now();
  // The dead site will not answer; who may write is known without it.
  const [client, state] = await Promise.all([connectClient(place), readServiceState(estate, service, askMs)]);
  try {
    const [plan] = planRun(estate, service, state, { kind: 'failover', mode: 'ungraceful' });
    if (plan === undefined) return;
    const clocks = {
      ...(seen.faultAtMs !== null && { fault: seen.faultAtMs }),
      ...(seen.detectedAtMs !== null && { detected: seen.detectedAtMs }),
      declared: declaredAtMs,
    };
    const labels = { estateHash: hashEstate(estate), software, chainId: null, scenario };
    const run = await startRun(client, {
      kind: 'failover',
      plans: [plan],
      startedBy: 'policy',
      labels,
      clocks,
      details: `\`\`\`mermaid\n${drawMermaid(plan)}\n\`\`\``,
    });
    log.warn(
      { service: service.name, runId: run.runId, from: plan.from, to: plan.to, epoch: plan.epoch },
      'disaster declared by the policy',
    );
  } finally {
    await client.connection.close();
  }
}
