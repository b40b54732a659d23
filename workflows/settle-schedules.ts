import {
  CancellationScope,
  condition,
  log,
  ParentClosePolicy,
  patched,
  proxyActivities,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { Plan } from './engine/plan.ts';
import type { RunView } from './io.ts';

/** Which schedules a run pauses or takes up again. */
export interface SchedulesOrder {
  act: 'pause' | 'resume';
  /** Service that moves. */
  service: string;
  /** Site whose schedules are meant. */
  site: string;
  /** Also those of vaults that lie there: the site is taken for lost. */
  wholeSite: boolean;
  runId: string;
  /** Resume: only what this very run has paused; otherwise what any failover of the service has. */
  onlyOwn: boolean;
}

/** A service that writes elsewhere now. */
export interface FollowOrder {
  service: string;
  runId: string;
  /** Unix milliseconds: what began before reads the other site. */
  movedAtMs: number;
}

type Activities = Record<'pause schedules' | 'resume schedules', (order: SchedulesOrder) => Promise<string[]>> &
  Record<'follow writer', (order: FollowOrder) => Promise<string[]>>;

/** How long a run that has ended waits until somebody else has taken over its schedules. */
const patienceMs = 5_000;

/** The schedules of a run: a site that is left is not backed up, and one that writes again is. Never waited for, never a failure. */
export interface RunSchedules {
  pause(): void;
  settle(view: RunView): Promise<void>;
}

/** Of a failover: pauses those of the site that is left, takes up those of the site that writes now. */
export function schedulesOfFailover(runId: string, plan: Plan): RunSchedules {
  const { service, from, to } = plan;
  const common = { service, runId, wholeSite: plan.mode === 'ungraceful' };
  return {
    pause: () => void handOver({ ...common, act: 'pause', site: from, onlyOwn: false }),
    settle: (view) =>
      hasMoved(view)
        ? handOverInTime({ ...common, act: 'resume', site: to, onlyOwn: false })
        : handOverInTime({ ...common, act: 'resume', site: from, onlyOwn: true }),
  };
}

/** Of a failback: takes up what failovers of the service have paused at the site that it comes home to. */
export function schedulesOfFailback(runId: string, plan: Plan): Pick<RunSchedules, 'settle'> {
  const { service, to: site } = plan;
  return {
    settle: async (view) => {
      if (hasMoved(view))
        await handOverInTime({ act: 'resume', service, site, wholeSite: true, runId, onlyOwn: false });
    },
  };
}

/** Whatever became of the run afterwards: the other site writes. */
function hasMoved({ clocks }: RunView): boolean {
  return clocks.promoted !== undefined;
}

/** To a workflow of its own, which outlives the run and goes on trying. A failure is a line in the log. */
async function handOver(order: SchedulesOrder): Promise<void> {
  if (!patched('schedules')) return;
  try {
    await CancellationScope.nonCancellable(() =>
      startChild('settleSchedules', {
        args: [order],
        workflowId: `schedules/${order.runId}/${order.act}`,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `${order.act}s the schedules of ${order.site} for ${order.service}`,
      }),
    );
  } catch (err) {
    log.warn(`schedules: ${err instanceof Error ? err.message : String(err)}`);
  }
}

/** The same at the end of a run, which waits until it was taken over, but not for long. */
async function handOverInTime(order: SchedulesOrder): Promise<void> {
  let isTaken = false;
  void handOver(order).then(() => (isTaken = true));
  // A run that was cancelled has been undone, and its schedules go on like everything else.
  await CancellationScope.nonCancellable(() =>
    condition(() => isTaken, patienceMs, { summary: 'hands its schedules over' }),
  );
}

/** Pauses or resumes schedules, and sends after a service that moved what is to follow it; tries within a day. @returns their ids */
export async function settleSchedules(order: SchedulesOrder): Promise<string[]> {
  const activities = proxyActivities<Activities>({
    startToCloseTimeout: 60_000,
    scheduleToCloseTimeout: '1 day',
    retry: { initialInterval: 1_000, backoffCoefficient: 2, maximumInterval: 60_000 },
    summary: `${order.site}, ${order.service}`,
  });
  const hasMoved = order.act === 'resume' && !order.onlyOwn;
  const { service, runId } = order;
  const movedAtMs = workflowInfo().startTime.getTime();
  if (hasMoved && patched('follows-writer')) await activities['follow writer']({ service, runId, movedAtMs });
  return activities[`${order.act} schedules`](order);
}
