import type { Scenario } from './scenario.ts';

/** Everything at hangzhou stops in its tracks, sockets open, and goes on later where it stood. */
export const siteFreeze: Scenario = {
  name: 'site-freeze',
  story: 'everything at hangzhou freezes: sockets stay open, nothing answers; later it goes on where it stood',
  strike: (world) => world.freezeSite('hangzhou'),
  comeBack: (world) => world.thawSite('hangzhou'),
  awayMs: 3_000,
};
