import type { Scenario } from './scenario.ts';

/** Everything at hangzhou dies at once and its links go silent; later its machines boot as if nothing had happened. */
export const siteLoss: Scenario = {
  name: 'site-loss',
  story: 'everything at hangzhou is killed and its links swallow every packet',
  strike: (world) => world.killSite('hangzhou'),
  comeBack: (world) => world.bootSite('hangzhou'),
  awayMs: 3_000,
};
