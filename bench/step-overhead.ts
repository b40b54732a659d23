/** Engine and Temporal overhead of one step: a run of empty activities, one after the other, on a server with a database file. */
import { fakeDriver } from '../test/support/fake-driver.ts';
import { inOrder, planOf, step } from '../test/support/plan.ts';
import { startTemporal, startTestWorker } from '../test/support/temporal.ts';
import { startRun } from '../worker/run-start.ts';

const steps = 20;
const labels = { estateHash: 'bench', software: 'muster bench', chainId: null, scenario: null };

/** Milliseconds per step, one figure a round; the first round warms up and is left out. */
export async function stepOverheadMs(rounds: number): Promise<number[]> {
  await using temporal = await startTemporal();
  await using _worker = await startTestWorker(temporal, fakeDriver().driver);
  const figures: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const plan = planOf(inOrder(Array.from({ length: steps }, (_, i) => step(`check-orders-${i}`))), {
      service: `bench-${round}`,
    });
    const run = await startRun(temporal.client, { kind: 'failover', plans: [plan], startedBy: 'bench', labels });
    const view = await run.result();
    const lastMs = view.steps.at(-1)?.endedAtMs ?? 0;
    if (round > 0) figures.push((lastMs - (view.clocks.started ?? 0)) / steps);
  }
  return figures;
}
