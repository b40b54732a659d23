import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Estate } from '../../runbooks/estate.ts';
import type { PlannedDrill, ScheduledDrillInput } from '../../workflows/scheduled-drill.ts';
import type { ScheduleFinding } from '../../workflows/scheduled.ts';
import type { FollowOrder, SchedulesOrder } from '../../workflows/settle-schedules.ts';
import type { AimDeps } from '../aim.ts';
import { toApplicationFailure } from '../failures.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import { followWriter } from './follow.ts';
import { pauseSchedulesOf, resumeSchedulesOf } from './pause.ts';
import { planDrill } from './plan-drill.ts';

export interface ScheduleDeps {
  estate: Estate;
  ledger: Pick<Ledger, 'addFinding'>;
  /** A connection to Temporal, made when it is first needed and kept. */
  client: () => Promise<Client>;
  log: Log;
  /** Without it nothing follows a service that moves. */
  aim?: AimDeps;
}

type Activity = (arg: never) => Promise<unknown>;

/** What workflows need of schedules, by the names that they know. */
export function scheduleActivities({ estate, ledger, client, log, aim }: ScheduleDeps): Record<string, Activity> {
  const settle = async (order: SchedulesOrder): Promise<string[]> => {
    const ids = await settleSchedules(await client(), order);
    log.info({ runId: order.runId, site: order.site, schedules: ids }, `schedules: ${order.act}`);
    return ids;
  };
  const follow = async (order: FollowOrder): Promise<string[]> => {
    if (aim === undefined) return [];
    const deps = { aim, addFinding: (finding: ScheduleFinding) => ledger.addFinding(finding) };
    const sent = await followWriter(await client(), deps, order);
    log.info({ runId: order.runId, service: order.service, sent }, 'protection follows the service');
    return sent;
  };
  return {
    'record finding': told((finding: ScheduleFinding) => ledger.addFinding(finding)),
    'plan drill': told((drill: ScheduledDrillInput): Promise<PlannedDrill> => planDrill(estate, drill)),
    'pause schedules': told(settle),
    'resume schedules': told(settle),
    'follow writer': told(follow),
  };
}

async function settleSchedules(client: Client, order: SchedulesOrder): Promise<string[]> {
  const { act, service, site, wholeSite, runId, onlyOwn } = order;
  if (act === 'pause') {
    const why = `${site} is left; a failback, or a failover that did not happen, takes it up again`;
    return pauseSchedulesOf(client, { service, site, wholeSite }, { runId, service }, why);
  }
  if (await isPausing(client, runId)) throw new Error(`${runId} is still pausing schedules`);
  const why = onlyOwn ? `taken up: ${runId} did not happen` : `taken up: ${service} is at ${site} again (${runId})`;
  return resumeSchedulesOf(client, { service, site, ...(onlyOwn && { runId }) }, why);
}

/** A run that ended at once may be overtaken by its own pause. */
async function isPausing(client: Client, runId: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(`schedules/${runId}/pause`).describe()).status.name === 'RUNNING';
  } catch (err) {
    if (err instanceof WorkflowNotFoundError) return false;
    throw err;
  }
}

/** Our errors as Temporal's, so that what waiting does not mend is not tried again. */
function told<Arg, Answer>(work: (arg: Arg) => Promise<Answer>): (arg: Arg) => Promise<Answer> {
  return async (arg) => {
    try {
      return await work(arg);
    } catch (err) {
      throw toApplicationFailure(err, 'read');
    }
  };
}
