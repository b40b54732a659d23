import { every, type Repeating } from './every.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { controlQueue } from './run-start.ts';
import { connectClient, type TemporalPlace } from './temporal.ts';

const everyMs = 5 * 60_000;
/** The first checks warm what a run needs; one alone leaves half of it cold. */
const warmUps = 3;

/** Has the control plane run a workflow of one step now and again: a plane that cannot is found before it is needed. */
export function startSelfChecks(place: TemporalPlace, metrics: Metrics, log: Log): Repeating {
  const check = async (): Promise<void> => {
    const client = await connectClient(place);
    try {
      const id = { workflowId: 'self-check', workflowIdConflictPolicy: 'TERMINATE_EXISTING' as const };
      await client.workflow.execute('selfCheck', { taskQueue: controlQueue, ...id, workflowExecutionTimeout: 30_000 });
      metrics.lastSelfCheck.setToCurrentTime();
    } finally {
      await client.connection.close();
    }
  };
  const report = (err: unknown): void =>
    log.error({ err: err instanceof Error ? err.message : String(err) }, 'the control plane cannot run a workflow');
  const warm = async (): Promise<void> => {
    for (let i = 0; i < warmUps; i++) await check();
  };
  void warm().catch(report);
  return every(everyMs, check, report);
}
