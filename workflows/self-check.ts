import { proxyActivities } from '@temporalio/workflow';

/**
 * Proves that a run could start now: Temporal takes a workflow, and this worker performs one. Run at the worker's start
 * and from time to time, it also keeps warm what the first seconds of a disaster need.
 */
export async function selfCheck(): Promise<number> {
  const { 'check worker': checkWorker } = proxyActivities<Record<'check worker', () => Promise<number>>>({
    startToCloseTimeout: 10_000,
    retry: { maximumAttempts: 3 },
    summary: 'the control plane performs a step',
  });
  return checkWorker();
}
