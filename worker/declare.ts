import type { Client } from '@temporalio/client';
import type { AgentState } from '../activities/guard/protocol.ts';
import { drawMermaid } from '../runbooks/draw.ts';
import type { EstateService } from '../runbooks/estate.ts';
import { hashEstate } from '../runbooks/hash.ts';
import { planRun } from './planner.ts';
import { startOverDrill } from './preempt-drill.ts';
import { startRun } from './run-start.ts';
import { stateFrom, type ServiceState } from './service-state.ts';
import { software } from './software.ts';
import { connectClient } from './temporal.ts';
import type { ServiceWatch, WatchOptions } from './watch/context.ts';

/** What the watch has in hand when it declares, so that nothing is asked of anybody in that moment. */
export interface Known {
  /** A kept connection; made anew when it has never come up. */
  client: Promise<Client | null>;
  /** Newest states of the agents that answer, by site. */
  agents: Readonly<Record<string, AgentState>>;
}

/** Declares the disaster in the name of the policy and starts the failover that it pre-approves. */
export async function declareFailover(
  options: WatchOptions,
  service: EstateService,
  seen: ServiceWatch,
  known: Known,
): Promise<void> {
  const { estate, log, place, scenario } = options;
  const declaredAtMs = Date.now();
  const [plan] = planRun(estate, service, stateOf(options, service, known), { kind: 'failover', mode: 'ungraceful' });
  if (plan === undefined) return;
  const clocks = {
    ...(seen.faultAtMs !== null && { fault: seen.faultAtMs }),
    ...(seen.detectedAtMs !== null && { detected: seen.detectedAtMs }),
    declared: declaredAtMs,
  };
  const labels = { estateHash: hashEstate(estate), software, chainId: null, scenario };
  const client = (await known.client) ?? (await connectClient(place));
  const details = `\`\`\`mermaid\n${drawMermaid(plan)}\n\`\`\``;
  // Only then is anybody asked: in most cases nothing holds the service.
  const why = `disaster declared: ${plan.from} of ${service.name} is gone`;
  const run = await startOverDrill(client, service.name, { by: 'policy', why, onlyIsolated: true }, (findings) =>
    startRun(client, { kind: 'failover', plans: [plan], startedBy: 'policy', labels, clocks, details, findings }),
  );
  log.warn(
    { service: service.name, runId: run.runId, from: plan.from, to: plan.to, epoch: plan.epoch },
    'disaster declared by the policy',
  );
}

function stateOf({ granter }: WatchOptions, service: EstateService, { agents }: Known): ServiceState {
  const own: AgentState = { site: 'control', granters: granter.states(), guards: [], vantage: [] };
  return stateFrom(service, { ...agents, control: own });
}
