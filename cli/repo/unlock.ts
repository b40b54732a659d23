import { holderOf } from '../../activities/backup/repository/lock-file.ts';
import { listLocks, unlock as removeLocks } from '../../activities/backup/repository/lock.ts';
import { exitCodes } from '../exit-codes.ts';
import { countOf, printable } from '../format.ts';
import type { Body, RepoOptions } from './action.ts';
import { withRepository } from './session.ts';

export interface UnlockFlags extends RepoOptions {
  removeAll?: boolean;
}

/** Removes locks of clients that are gone; all of them at somebody's word. */
export const unlock: Body<UnlockFlags> = (session, flags) =>
  withRepository(session, 'none', async ({ repository }) => {
    const { screen } = session;
    const removed = await removeLocks(repository, flags.removeAll === true ? 'all' : 'stale');
    const left = await listLocks(repository);
    if (screen.json) screen.value({ message_type: 'summary', locks_removed: removed.length, locks_left: left.length });
    for (const lock of removed) screen.remark(`removed the lock of ${printable(holderOf(lock))}`);
    for (const { lock } of left) screen.remark(`left the lock of ${printable(holderOf(lock))}: it is in use`);
    screen.remark(`${countOf(removed.length, 'lock')} removed`);
    return exitCodes.met;
  });
