import type { Scenario } from './scenario.ts';
import { siteLoss } from './site-loss.ts';

const oneWayMs = 500;

/** The replication link is half a second slow each way when the site dies: acknowledged rows are really lost. */
export const slowLink: Scenario = {
  ...siteLoss,
  name: 'slow-link',
  story: `the replication link is ${oneWayMs} ms slow each way when everything at hangzhou is killed`,
  prepare: async (world) => world.delayReplication(oneWayMs),
};
