import type { VerbDescription } from '../../../workflows/engine/catalogue.ts';
import type { Driver } from '../../driver.ts';
import { backup } from './backup.ts';
import { check } from './check.ts';
import { validatePostgres } from './config.ts';
import { fence } from './fence.ts';
import { observe } from './observe.ts';
import { promote } from './promote.ts';
import { rejoin } from './rejoin.ts';
import { replicate } from './replicate.ts';
import { restore } from './restore.ts';
import { environmentServices, type DriverServices } from '../guarded/services.ts';
import { unfence } from './unfence.ts';
import { bindVerb } from '../guarded/verb.ts';
import { verify } from './verify.ts';

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
const descriptions = {
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

/** A PostgreSQL pair: one writer, one streaming standby, each with a guard beside it. */
export function createPostgresDriver(services: Partial<DriverServices> = {}): Driver {
  const all: DriverServices = { ...environmentServices, ...services };
  return {
    kind: 'postgres',
    stateful: true,
    routes: false,
    validate: validatePostgres,
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
      restore: bindVerb(restore, descriptions.restore, all),
    },
  };
}
