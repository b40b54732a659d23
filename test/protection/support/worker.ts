import path from 'node:path';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { AimDeps } from '../../../worker/aim.ts';
import { createActivities } from '../../../worker/activities.ts';
import { workflowBundle } from '../../../worker/bundle.ts';
import type { Ledger } from '../../../worker/ledger/ledger.ts';
import { createLog } from '../../../worker/log.ts';
import { createMetrics } from '../../../worker/metrics.ts';
import { protectionActivities } from '../../../worker/protection-activities.ts';
import { controlQueue } from '../../../worker/run-start.ts';

/** A control plane's worker with the activities of protection. @returns how to end it */
export async function startProtectionWorker(
  address: string,
  ledger: Ledger,
  home: string,
  aim?: AimDeps,
): Promise<() => Promise<void>> {
  const connection = await NativeConnection.connect({ address });
  const log = createLog('test', 'error');
  const worker = await Worker.create({
    connection,
    workflowBundle: { codePath: await workflowBundle(path.join(import.meta.dirname, '../../../.muster/cache')) },
    taskQueue: controlQueue,
    activities: createActivities({
      ...{ drivers: {}, log, metrics: createMetrics('test') },
      more: protectionActivities({ home, log, ledger, ...(aim && { aim }) }),
    }),
  });
  const running = worker.run();
  return async () => {
    worker.shutdown();
    await running;
    await connection.close();
  };
}
