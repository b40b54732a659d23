import type { DriverDescription, VerbDescription } from '../../../workflows/engine/catalogue.ts';
import { validateProxy } from './config.ts';

const reads: VerbDescription = {
  effect: 'read',
  needs: ['nothing'],
  runsAt: 'control',
  estimateSeconds: 0.05,
  withinSeconds: 5,
  undo: null,
  repeatable: true,
};
const changes: VerbDescription = { ...reads, effect: 'change', estimateSeconds: 0.1, withinSeconds: 15 };

/** What each verb does, needs and takes. */
export const proxyVerbs = {
  check: reads,
  observe: reads,
  quiesce: { ...changes, undo: 'unfence' },
  unfence: changes,
  fence: { ...changes, undo: 'unfence' },
  route: changes,
  verify: { ...reads, needs: ['target'], estimateSeconds: 0.5, withinSeconds: 30 },
} as const satisfies Record<string, VerbDescription>;

/** The driver as data; what it does is in driver.ts. */
export const proxyDescription = {
  kind: 'proxy',
  stateful: false,
  routes: true,
  validate: validateProxy,
  verbs: proxyVerbs,
} satisfies DriverDescription;
