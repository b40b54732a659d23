import type { Driver } from '../../driver.ts';
import { environmentServices, type DriverServices } from '../guarded/services.ts';
import { bindVerb } from '../guarded/verb.ts';
import { backup } from './backup.ts';
import { check } from './check.ts';
import { bucketDescription, bucketVerbs } from './description.ts';
import { fence } from './fence.ts';
import { observe } from './observe.ts';
import { promote } from './promote.ts';
import { rejoin } from './rejoin.ts';
import { replicate } from './replicate.ts';
import { unfence } from './unfence.ts';
import { verify } from './verify.ts';

/** A bucket on Muster's own storage clusters, one at each site, each with a guard beside it. */
export function createBucketDriver(services: Partial<DriverServices> = {}): Driver {
  const all: DriverServices = { ...environmentServices, ...services };
  return {
    ...bucketDescription,
    verbs: {
      check: bindVerb(check, bucketVerbs.check, all),
      observe: bindVerb(observe, bucketVerbs.observe, all),
      fence: bindVerb(fence, bucketVerbs.fence, all),
      unfence: bindVerb(unfence, bucketVerbs.unfence, all),
      promote: bindVerb(promote, bucketVerbs.promote, all),
      verify: bindVerb(verify, bucketVerbs.verify, all),
      backup: bindVerb(backup, bucketVerbs.backup, all),
      rejoin: bindVerb(rejoin, bucketVerbs.rejoin, all),
      replicate: bindVerb(replicate, bucketVerbs.replicate, all),
    },
  };
}
