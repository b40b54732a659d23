import type { Driver } from '../../driver.ts';
import { confirm as confirmBackup, perform as backup } from './backup.ts';
import { check } from './check.ts';
import { directoryDescription, directoryVerbs } from './description.ts';
import { confirm as confirmRestore, perform as restore } from './restore.ts';
import { verify } from './verify.ts';

/**
 * A directory on the machine of a site's agent. It is saved, proven and restored like everything else, but it is copied
 * nowhere: a failover leaves it where it is, and says so.
 */
export const directoryDriver: Driver = {
  ...directoryDescription,
  verbs: {
    check: { ...directoryVerbs.check, perform: check },
    verify: { ...directoryVerbs.verify, perform: verify },
    backup: { ...directoryVerbs.backup, perform: backup, confirm: confirmBackup },
    restore: { ...directoryVerbs.restore, perform: restore, confirm: confirmRestore },
  },
};
