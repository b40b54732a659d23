import { mirror as copy, type MirrorCounts } from '../../activities/backup/engine/mirror.ts';
import type { Repository } from '../../activities/backup/repository/attach.ts';
import { openStore } from '../../activities/backup/repository/open-store.ts';
import { configName, type RepositoryStore } from '../../activities/backup/repository/store.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { countOf, formatBytes, formatCount, printable } from '../format.ts';
import { invalid } from './parse.ts';
import { parseAddress } from '../../activities/backup/repository/address.ts';
import type { Screen } from './screen.ts';
import { lockRepository, withRepository, type OpenRepository } from './session.ts';
import { WorkStatus } from './status.ts';

export interface MirrorFlags extends RepoOptions {
  remove?: boolean;
}

/** Copies the repository as it is to another place. */
export const mirror: Body<MirrorFlags> = async (session, flags, [to]) => {
  const address = parseAddress(to as string, process.env);
  return withRepository(session, 'shared', async (open) => {
    session.whenStopped = 'every snapshot that is there already is whole; run the same command again to go on';
    const target = await openStore(address);
    if (target.place === open.repository.store.place) throw invalid('a mirror needs a place of its own');
    const lock = await lockTarget(session, open.repository, target);
    try {
      const counts = await copyAll(session.screen, open, { target, remove: flags.remove === true });
      tell(session.screen, target, counts);
      return exitCodes.met;
    } finally {
      await lock?.release();
      await target.close();
    }
  });
};

/** A mirror that is there already may be worked on by somebody; whatever else is there is for `mirror` to refuse. */
async function lockTarget(session: Session, repository: Repository, target: RepositoryStore) {
  const [here, there] = [await repository.store.read('config', configName), await target.read('config', configName)];
  if (here === null || there === null || Buffer.compare(here, there) !== 0) return null;
  return lockRepository(session, { store: target, sealer: repository.sealer }, 'exclusive');
}

function copyAll(
  screen: Screen,
  { repository, signal }: OpenRepository,
  { target, remove }: { target: RepositoryStore; remove: boolean },
): Promise<MirrorCounts> {
  const status = new WorkStatus();
  const onProgress = (counts: MirrorCounts): void =>
    screen.progress(() =>
      status.of({
        what: `${formatCount(counts.files)} of ${countOf(counts.ofFiles, 'file')}`,
        ...{ bytes: counts.bytes, totalBytes: counts.ofBytes, problems: 0 },
        fields: { files_done: counts.files, total_files: counts.ofFiles, bytes_done: counts.bytes },
      }),
    );
  return copy({ from: repository.store, sealer: repository.sealer, to: target, remove, signal, onProgress });
}

function tell(screen: Screen, { place }: RepositoryStore, { files, bytes, removed }: MirrorCounts): void {
  if (screen.json) {
    screen.value({ message_type: 'summary', files_copied: files, bytes_copied: bytes, files_removed: removed });
  }
  const gone = removed === 0 ? '' : `, removed ${formatCount(removed)}`;
  screen.remark(`copied ${countOf(files, 'file')}, ${formatBytes(bytes)}${gone}; the mirror is ${printable(place)}`);
}
