import type { Client } from '@temporalio/client';
import { MusterError } from '../workflows/engine/errors.ts';
import type { Answer, Order, RunView } from '../workflows/io.ts';
import { workflowIdOf } from './run-start.ts';

/** The run as it is now; the last one of the service when no execution is named. Needs a living worker (it is a query). */
export async function viewRun(client: Client, service: string, executionId?: string): Promise<RunView> {
  return client.workflow.getHandle(workflowIdOf(service), executionId).query<RunView>('status');
}

const pollMs = 100;

/** Shows a run until it ends or waits for a person. Losing the worker for a while is not the end. */
export async function followRun(
  client: Client,
  { service, executionId }: { service: string; executionId: string },
  show: (view: RunView) => void,
  untilPerson = false,
): Promise<RunView> {
  const result = client.workflow.getHandle(workflowIdOf(service), executionId).result() as Promise<RunView>;
  let ended: RunView | null = null;
  void result.then(
    (view) => (ended = view),
    () => undefined,
  );
  for (;;) {
    await Promise.race([result.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, pollMs))]);
    if (ended !== null) {
      show(ended);
      return ended;
    }
    const view = await viewRun(client, service, executionId).catch(() => null);
    if (view === null) continue;
    show(view);
    if (untilPerson && (view.asks.length > 0 || view.status === 'paused')) return view;
    if (view.status === 'finished') return result;
  }
}

export type OrderName = 'pause' | 'resume' | 'skip' | 'retry' | 'abort' | 'goUngraceful';

/** @throws MusterError NOT_WAITING with the reason when the run refuses; RUN_UNKNOWN when there is none. */
export async function orderRun(client: Client, service: string, name: OrderName, order: Order): Promise<RunView> {
  return update(client, service, name, order);
}

/** @throws MusterError NOT_WAITING with the reason when the run refuses; RUN_UNKNOWN when there is none. */
export async function answerRun(client: Client, service: string, answer: Answer): Promise<RunView> {
  return update(client, service, 'approve', answer);
}

async function update(client: Client, service: string, name: string, arg: Order): Promise<RunView> {
  try {
    return await client.workflow
      .getHandle(workflowIdOf(service))
      .executeUpdate<RunView, [Order]>(name, { args: [arg] });
  } catch (err) {
    if (!(err instanceof Error)) throw err;
    if (err.name === 'WorkflowNotFoundError')
      throw new MusterError('RUN_UNKNOWN', `service ${service} has no run that could take this`);
    if (err.name === 'WorkflowUpdateFailedError')
      throw new MusterError('NOT_WAITING', err.cause instanceof Error ? err.cause.message : err.message);
    throw err;
  }
}
