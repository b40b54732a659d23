import { initRepository } from '../../activities/backup/repository/repository.ts';
import { exitCodes } from '../exit-codes.ts';
import { printable } from '../format.ts';
import { repositoryPassword } from './passwords.ts';
import type { Body, RepoOptions } from './action.ts';
import { addressOf } from './session.ts';

/** Makes an empty repository. */
export const init: Body<RepoOptions> = async (session, options) => {
  const { interruption, screen } = session;
  const address = addressOf(session);
  const password = await repositoryPassword(options, { isNew: true, signal: interruption.signal });
  const repository = await initRepository({ address, password });
  const { id } = repository.config;
  const { place } = repository.store;
  await repository.close();
  if (screen.json) screen.value({ message_type: 'initialized', id, repository: place });
  screen.remark(
    `repository ${id.slice(0, 10)} made at ${printable(place)}\n` +
      'Keep its password safe, and not only on this machine: without it nobody can read what is saved here.',
  );
  return exitCodes.met;
};
