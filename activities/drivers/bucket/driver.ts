import type { VerbDescription } from '../../../workflows/engine/catalogue.ts';
import type { Driver } from '../../driver.ts';
import { environmentServices, type DriverServices } from '../guarded/services.ts';
import { bindVerb } from '../guarded/verb.ts';
import { backup } from './backup.ts';
import { check } from './check.ts';
import { isReplicated, validateBucket } from './config.ts';
import { fence } from './fence.ts';
import { observe } from './observe.ts';
import { promote } from './promote.ts';
import { rejoin } from './rejoin.ts';
import { replicate } from './replicate.ts';
import { unfence } from './unfence.ts';
import { verify } from './verify.ts';

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

const descriptions = {
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

/** A bucket on Muster's own storage clusters, one at each site, each with a guard beside it. */
export function createBucketDriver(services: Partial<DriverServices> = {}): Driver {
  const all: DriverServices = { ...environmentServices, ...services };
  return {
    kind: 'bucket',
    stateful: true,
    routes: false,
    measuresLoss: isReplicated,
    validate: validateBucket,
    verbs: {
      check: bindVerb(check, descriptions.check, all),
      observe: bindVerb(observe, descriptions.observe, all),
      fence: bindVerb(fence, descriptions.fence, all),
      unfence: bindVerb(unfence, descriptions.unfence, all),
      promote: bindVerb(promote, descriptions.promote, all),
      verify: bindVerb(verify, descriptions.verify, all),
      backup: bindVerb(backup, descriptions.backup, all),
      rejoin: bindVerb(rejoin, descriptions.rejoin, all),
      replicate: bindVerb(replicate, descriptions.replicate, all),
    },
  };
}
