import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { MusterError } from '../workflows/engine/errors.ts';
import type { RunView } from '../workflows/io.ts';
import { orderRun, viewRun } from './run-follow.ts';
import { workflowIdOf } from './run-start.ts';

/** A drill that gave way to a real run. */
export interface Preempted {
  runId: string;
  /** `abandoned`: it did not clean up in time and was ended as it was. */
  end: 'ended' | 'abandoned';
  tookMs: number;
}

export interface PreemptOptions {
  /** Who or what needs the service: told in the drill's own record. */
  by: string;
  why: string;
  /**
   * Only what touches nobody. A live drill stops the writer itself: what the watch sees of that is no reason to end it.
   */
  onlyIsolated?: boolean;
  /** For a drill to clean up. Default 15 s. */
  withinMs?: number;
}

const usualWithinMs = 15_000;
/** A live drill behind its point of no return can only go forward, to the end of the move that it is in. */
const forwardWithinMs = 60_000;
const askMs = 3_000;

/**
 * Makes a drill of the service give way: it is aborted, cleans up and ends, all in bounded time. One that does not is
 * ended as it is. Null when no drill holds the service.
 * @throws MusterError RUN_ACTIVE when a live drill is behind its point of no return and does not come to the end of its
 * move: two runs must not move one service
 */
export async function preemptDrill(
  client: Client,
  service: string,
  options: PreemptOptions,
): Promise<Preempted | null> {
  const { by, why, onlyIsolated = false, withinMs = usualWithinMs } = options;
  const found = await describe(client, service);
  if (found === null || found.type !== 'drill') return null;
  const beganAt = performance.now();
  const known = found.memo?.['runId'];
  const runId = typeof known === 'string' ? known : found.runId;
  const handle = client.workflow.getHandle(workflowIdOf(service), found.runId);
  if (onlyIsolated && (await shortly(client, () => viewRun(client, service, found.runId)))?.kind !== 'drill')
    return null;
  await handle.signal('giveWay');
  const aborted = await shortly(client, () => orderRun(client, service, 'abort', { by, why }));
  const view = aborted ?? (await shortly(client, () => viewRun(client, service, found.runId)));
  const mustWait = view !== null && goesForward(view);
  const isOver = await endsWithin(handle.result(), mustWait ? forwardWithinMs : withinMs);
  const preempted = (end: Preempted['end']): Preempted => ({ runId, end, tookMs: performance.now() - beganAt });
  if (isOver) return preempted('ended');
  if (mustWait) {
    const what = `${runId} (drill) is past its point of no return and has not come to its end`;
    throw new MusterError(
      'RUN_ACTIVE',
      `service ${service} is in the hands of ${what}: see \`muster status ${service}\``,
    );
  }
  await handle.terminate(`${why}, by ${by}: it did not clean up within ${withinMs / 1_000} s`);
  return preempted('abandoned');
}

/** Starts a real run; where a drill holds the service, that gives way first. @throws MusterError RUN_ACTIVE as `startRun` */
export async function startOverDrill<Run>(
  client: Client,
  service: string,
  options: PreemptOptions,
  start: (findings: string[]) => Promise<Run>,
): Promise<Run> {
  try {
    return await start([]);
  } catch (err) {
    if (!(err instanceof MusterError) || err.code !== 'RUN_ACTIVE') throw err;
    const preempted = await preemptDrill(client, service, options);
    if (preempted === null) throw err;
    return start([preemptionText(preempted)]);
  }
}

/** What a real run writes down of a drill that gave way. */
export function preemptionText({ runId, end, tookMs }: Preempted): string {
  const seconds = (tookMs / 1_000).toFixed(1);
  return end === 'ended'
    ? `drill ${runId} gave way: it was ended and had cleaned up after ${seconds} s`
    : `drill ${runId} was abandoned after ${seconds} s: it had not cleaned up, look for what it left behind`;
}

function goesForward({ status, clocks, steps }: RunView): boolean {
  if (status === 'undoing' || status === 'finished') return false;
  return (
    clocks.promoted !== undefined || steps.some(({ id, status: at }) => id.startsWith('promote') && at !== 'pending')
  );
}

async function describe(client: Client, service: string) {
  try {
    const found = await client.workflow.getHandle(workflowIdOf(service)).describe();
    return found.status.name === 'RUNNING' ? found : null;
  } catch (err) {
    if (err instanceof WorkflowNotFoundError) return null;
    throw err;
  }
}

/** Null when nobody answers in time, or the run refuses. */
async function shortly<Answer>(client: Client, ask: () => Promise<Answer>): Promise<Answer | null> {
  return client.connection.withDeadline(Date.now() + askMs, ask).catch(() => null);
}

async function endsWithin(result: Promise<unknown>, withinMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), withinMs);
  });
  // However it ended: it holds the service no more.
  const over = result.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([over, late]);
  } finally {
    clearTimeout(timer);
  }
}
