import type { DriverDescription, VerbDescription } from '../../../workflows/engine/catalogue.ts';
import { validateDirectory } from './config.ts';

const reads: VerbDescription = {
  effect: 'read',
  needs: ['target'],
  runsAt: 'to',
  estimateSeconds: 0.05,
  withinSeconds: 5,
  undo: null,
  repeatable: true,
};
/** How long it takes is a matter of its size: a runbook says `within`. */
const copies: VerbDescription = { ...reads, effect: 'change', estimateSeconds: 30, withinSeconds: 3_600 };

/** What each verb does, needs and takes. */
export const directoryVerbs = {
  check: reads,
  verify: reads,
  backup: { ...copies, needs: ['source'], runsAt: 'from' },
  restore: copies,
} as const satisfies Record<string, VerbDescription>;

/** The driver as data; what it does is in driver.ts. */
export const directoryDescription = {
  kind: 'directory',
  stateful: false,
  stationary: true,
  routes: false,
  validate: validateDirectory,
  verbs: directoryVerbs,
} satisfies DriverDescription;
