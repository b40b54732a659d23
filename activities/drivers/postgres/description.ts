import type { DriverDescription, VerbDescription } from '../../../workflows/engine/catalogue.ts';
import { validatePostgres } from './config.ts';

const reads: VerbDescription = {
  effect: 'read',
  needs: ['target'],
  runsAt: 'to',
  estimateSeconds: 0.1,
  withinSeconds: 10,
  undo: null,
  repeatable: true,
};
const changes: VerbDescription = { ...reads, effect: 'change' };

/** What each verb does, needs and takes. Estimates: this repository's own measurements on two cores. */
export const postgresVerbs = {
  check: { ...reads, runsAt: 'control', withinSeconds: 5 },
  observe: { ...reads, withinSeconds: 30 },
  fence: {
    ...changes,
    needs: ['nothing'],
    runsAt: 'control',
    estimateSeconds: 0.5,
    withinSeconds: 30,
    undo: 'unfence',
  },
  unfence: { ...changes, needs: ['source'], runsAt: 'control', estimateSeconds: 1, withinSeconds: 60 },
  promote: { ...changes, effect: 'irreversible', estimateSeconds: 0.3, withinSeconds: 60 },
  verify: { ...reads, withinSeconds: 30 },
  backup: { ...changes, needs: ['source', 'target'], estimateSeconds: 2, withinSeconds: 3_600 },
  rejoin: { ...changes, needs: ['source', 'target'], runsAt: 'from', estimateSeconds: 3, withinSeconds: 3_600 },
  replicate: { ...changes, needs: ['source', 'target'], estimateSeconds: 1, withinSeconds: 600 },
  restore: { ...changes, estimateSeconds: 5, withinSeconds: 3_600 },
} as const satisfies Record<string, VerbDescription>;

/** The driver as data; what it does is in driver.ts. */
export const postgresDescription = {
  kind: 'postgres',
  stateful: true,
  routes: false,
  validate: validatePostgres,
  verbs: postgresVerbs,
} satisfies DriverDescription;
