import type { Driver } from '../../driver.ts';
import { backup } from './backup.ts';
import { check } from './check.ts';
import { postgresDescription, postgresVerbs } from './description.ts';
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

/** A PostgreSQL pair: one writer, one streaming standby, each with a guard beside it. */
export function createPostgresDriver(services: Partial<DriverServices> = {}): Driver {
  const all: DriverServices = { ...environmentServices, ...services };
  return {
    ...postgresDescription,
    verbs: {
      check: bindVerb(check, postgresVerbs.check, all),
      observe: bindVerb(observe, postgresVerbs.observe, all),
      fence: bindVerb(fence, postgresVerbs.fence, all),
      unfence: bindVerb(unfence, postgresVerbs.unfence, all),
      promote: bindVerb(promote, postgresVerbs.promote, all),
      verify: bindVerb(verify, postgresVerbs.verify, all),
      backup: bindVerb(backup, postgresVerbs.backup, all),
      rejoin: bindVerb(rejoin, postgresVerbs.rejoin, all),
      replicate: bindVerb(replicate, postgresVerbs.replicate, all),
      restore: bindVerb(restore, postgresVerbs.restore, all),
    },
  };
}
