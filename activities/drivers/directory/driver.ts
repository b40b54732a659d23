import type { VerbDescription } from '../../../workflows/engine/catalogue.ts';
import type { Driver } from '../../driver.ts';
import { confirm as confirmBackup, perform as backup } from './backup.ts';
import { check } from './check.ts';
import { validateDirectory } from './config.ts';
import { confirm as confirmRestore, perform as restore } from './restore.ts';
import { verify } from './verify.ts';

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

/**
 * A directory on the machine of a site's agent. It is saved, proven and restored like everything else, but it is copied
 * nowhere: a failover leaves it where it is, and says so.
 */
export const directoryDriver: Driver = {
  kind: 'directory',
  stateful: false,
  stationary: true,
  routes: false,
  validate: validateDirectory,
  verbs: {
    check: { ...reads, perform: check },
    verify: { ...reads, perform: verify },
    backup: { ...copies, needs: ['source'], runsAt: 'from', perform: backup, confirm: confirmBackup },
    restore: { ...copies, perform: restore, confirm: confirmRestore },
  },
};
