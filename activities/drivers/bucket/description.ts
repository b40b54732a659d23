import type { DriverDescription, VerbDescription } from '../../../workflows/engine/catalogue.ts';
import { isReplicated, validateBucket } from './config.ts';

const reads: VerbDescription = {
  effect: 'read',
  needs: ['target'],
  runsAt: 'control',
  estimateSeconds: 0.05,
  withinSeconds: 5,
  undo: null,
  repeatable: true,
};
const changes: VerbDescription = { ...reads, effect: 'change', estimateSeconds: 0.2 };

/** What each verb does, needs and takes. */
export const bucketVerbs = {
  check: reads,
  observe: { ...reads, needs: ['nothing'], withinSeconds: 30 },
  fence: { ...changes, needs: ['nothing'], withinSeconds: 30, undo: 'unfence' },
  unfence: { ...changes, needs: ['source'], estimateSeconds: 1, withinSeconds: 60 },
  promote: { ...changes, effect: 'irreversible', runsAt: 'to', withinSeconds: 60 },
  verify: { ...reads, withinSeconds: 30 },
  backup: { ...reads, needs: ['source', 'target'], estimateSeconds: 2, withinSeconds: 3_600 },
  rejoin: { ...changes, needs: ['source', 'target'], estimateSeconds: 2, withinSeconds: 3_600 },
  replicate: { ...changes, needs: ['source', 'target'], estimateSeconds: 2, withinSeconds: 600 },
} as const satisfies Record<string, VerbDescription>;

/** The driver as data; what it does is in driver.ts. */
export const bucketDescription = {
  kind: 'bucket',
  stateful: true,
  routes: false,
  measuresLoss: isReplicated,
  validate: validateBucket,
  verbs: bucketVerbs,
} satisfies DriverDescription;
