import { drawMermaid } from '../../runbooks/draw.ts';
import { serviceOf, type Estate } from '../../runbooks/estate.ts';
import { hashEstate } from '../../runbooks/hash.ts';
import type { PlannedDrill, ScheduledDrillInput } from '../../workflows/scheduled-drill.ts';
import { planRun } from '../planner.ts';
import { newRunId } from '../run-start.ts';
import { readServiceState, type ServiceState } from '../service-state.ts';
import { software } from '../software.ts';

/**
 * Plans a scheduled drill against the present. Nobody watches it start: it is refused unless every site answers and the
 * service is at home.
 * @throws MusterError SERVICE_UNKNOWN, and as `planRun`
 */
export async function planDrill(
  estate: Estate,
  { service: name, kind }: ScheduledDrillInput,
  readState: typeof readServiceState = readServiceState,
): Promise<PlannedDrill> {
  const service = serviceOf(estate, name);
  const state = await readState(estate, service);
  const why = refusal(state, service.primary);
  if (why !== null) return { kind: 'refused', why };
  const plans = planRun(estate, service, state, { kind: 'drill', drillKind: kind });
  const [first] = plans;
  if (first === undefined) return { kind: 'refused', why: 'there is nothing to do' };
  return {
    kind: 'planned',
    input: {
      runId: newRunId('drill', name),
      plans,
      startedBy: 'schedule',
      labels: { estateHash: hashEstate(estate), software, chainId: null, scenario: null },
    },
    summary: `drill of ${name}, ${first.from} → ${first.to}, by its schedule`,
    details: `\`\`\`mermaid\n${drawMermaid(first)}\n\`\`\``,
  };
}

function refusal({ silent, holder }: ServiceState, primary: string): string | null {
  const [away] = Object.entries(silent);
  if (away !== undefined) return `${away[0]} does not answer: ${away[1]}`;
  return holder === primary ? null : `${holder} writes, not ${primary}: fail back first`;
}
