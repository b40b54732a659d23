import type { Repository } from '../../activities/backup/repository/attach.ts';
import { addKey, listKeys, removeKey } from '../../activities/backup/repository/keys.ts';
import { rotateKey } from '../../activities/backup/repository/rotate-key.ts';
import { exitCodes } from '../exit-codes.ts';
import { countOf, formatTable, formatTime, printable } from '../format.ts';
import { newPassword } from './passwords.ts';
import type { Body, RepoOptions } from './action.ts';
import { withRepository } from './session.ts';

export interface KeyFlags extends RepoOptions {
  newPasswordFile?: string;
  newPasswordCommand?: string;
  user?: string;
  host?: string;
}

/** Lists who has a key. */
export const keyList: Body<RepoOptions> = (session) =>
  withRepository(session, 'none', async ({ repository }) => {
    const { screen } = session;
    const keys = (await listKeys(repository.store)).map((key) => ({
      ...key,
      current: key.name === repository.keyName,
    }));
    if (screen.json) {
      screen.value(
        keys.map(({ name, current, username, hostname, created }) => ({
          ...{ current, id: name.slice(0, 8), userName: username, hostName: hostname, created },
        })),
      );
    }
    const columns = [{ title: '' }, { title: 'ID' }, { title: 'User' }, { title: 'Host' }, { title: 'Made' }];
    const rows = keys.map(({ name, current, username, hostname, created }) => [
      ...[current ? '*' : '', name.slice(0, 8), printable(username), printable(hostname), formatTime(created)],
    ]);
    screen.say(formatTable(columns, rows));
    screen.remark(`${countOf(keys.length, 'key')}; * opened the repository now`);
    return exitCodes.met;
  });

/** Adds a password that opens the repository, too. */
export const keyAdd: Body<KeyFlags> = (session, flags) =>
  withRepository(session, 'shared', async ({ repository, signal }) => {
    const password = await newPassword(flags, signal);
    const { user, host } = flags;
    const who = { ...(user !== undefined && { username: user }), ...(host !== undefined && { hostname: host }) };
    const name = await addKey(repository.store, { masterKey: masterKeyOf(repository), password, ...who });
    if (session.screen.json) session.screen.value({ message_type: 'key_added', id: name });
    session.screen.remark(`key ${name.slice(0, 8)} added: the repository opens with its password, too`);
    return exitCodes.met;
  });

/** Takes a password away; never the one in use. */
export const keyRemove: Body<RepoOptions> = (session, _, [id]) =>
  withRepository(session, 'exclusive', async ({ repository }) => {
    await removeKey(repository.store, inUse(repository), id as string);
    if (session.screen.json) session.screen.value({ message_type: 'key_removed', id });
    session.screen.remark(`key ${printable(id as string)} removed: its password opens nothing any more`);
    return exitCodes.met;
  });

/** Replaces the password in use; cut off at any moment, one of the two opens the repository. */
export const keyRotate: Body<KeyFlags> = (session, flags) =>
  withRepository(session, 'exclusive', async ({ repository, signal }) => {
    const password = await newPassword(flags, signal);
    session.whenStopped = 'one of the two passwords opens the repository; run the same command again to go on';
    const { name } = await rotateKey(repository.store, inUse(repository), { password });
    if (session.screen.json) session.screen.value({ message_type: 'key_changed', id: name });
    session.screen.remark(
      `password changed: key ${name.slice(0, 8)} has taken the place of ${repository.keyName.slice(0, 8)}`,
    );
    return exitCodes.met;
  });

const masterKeyOf = (repository: Repository) => repository.describe().masterKey;
const inUse = (repository: Repository) => ({ name: repository.keyName, masterKey: masterKeyOf(repository) });
