import { openTrees } from '../../activities/backup/engine/trees.ts';
import { walkSnapshot } from '../../activities/backup/engine/walk-snapshot.ts';
import { createBlobTable } from '../../activities/backup/repository/blob-table.ts';
import { permissionsOf } from '../../activities/backup/repository/file-mode.ts';
import { loadIndex } from '../../activities/backup/repository/index-load.ts';
import type { TreeNode } from '../../activities/backup/repository/tree.ts';
import { byteKey, forFs, shown, type RawPath } from '../../activities/backup/source/raw-path.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { oneSnapshot, shortId, type ChoiceOptions } from './choice.ts';
import { formatTime, printable } from '../format.ts';
import { parseSnapshotPath } from './parse.ts';
import { snapshotJson } from './snapshots.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { withRepository } from './session.ts';

export interface LsFlags extends RepoOptions, ChoiceOptions {
  long?: boolean;
  recursive?: boolean;
  /** False with `--no-lock`. */
  lock: boolean;
}

/** Lists what is in a snapshot: all of it, or what lies in a directory. */
export const ls: Body<LsFlags> = async (session, flags, args) => {
  const [wanted = '', directory] = args as readonly (string | undefined)[];
  const { snapshot: name, subpath } = parseSnapshotPath(wanted);
  const within = `/${directory ?? subpath ?? ''}`.replaceAll(/\/+/g, '/').replace(/\/$/, '');
  return withRepository(session, flags.lock ? 'shared' : 'none', async ({ repository, signal }) => {
    const snapshot = await oneSnapshot(repository, name, flags);
    const table = createBlobTable();
    await loadIndex(repository, table);
    if (session.screen.json) {
      session.screen.value({ ...snapshotJson(snapshot), struct_type: 'snapshot', message_type: 'snapshot' });
    }
    const out = new Lines(session);
    let found = within === '';
    const enter = (path: RawPath): boolean => isWanted(shown(path), within, flags.recursive === true);
    for await (const entry of walkSnapshot(openTrees(repository, table), snapshot.tree, { enter })) {
      signal.throwIfAborted();
      if (entry.kind === 'damaged') throw new MusterError('REPOSITORY_DAMAGED', `${shown(entry.path)}: ${entry.why}`);
      const at = shown(entry.path);
      if (at === within) found = true;
      if (within.startsWith(`${at}/`)) continue;
      out.add(
        session.screen.json ? nodeJson(entry.path, entry.node) : lineOf(entry.path, entry.node, flags.long === true),
      );
    }
    out.end();
    if (found) return exitCodes.met;
    throw new MusterError('SNAPSHOT_UNKNOWN', `snapshot ${shortId(snapshot)} has nothing at ${printable(within)}`);
  });
};

/** What leads to the directory, itself, and what is in it: one step deep, or all the way where everything is meant. */
function isWanted(path: string, within: string, deep: boolean): boolean {
  if (path === within || within.startsWith(`${path}/`)) return true;
  if (!path.startsWith(`${within}/`)) return false;
  return deep || within === '' || !path.includes('/', within.length + 1);
}

/** Names as they are for programs; for the eye without what could upset the terminal. */
function lineOf(path: RawPath, node: TreeNode, long: boolean): Buffer {
  const name = process.stdout.isTTY ? Buffer.from(printable(shown(path))) : Buffer.from(forFs(path));
  return Buffer.concat([Buffer.from(long ? `${detailsOf(node)}  ` : ''), name, Buffer.from('\n')]);
}

function detailsOf(node: TreeNode): string {
  const who = `${String(node.uid).padStart(5)} ${String(node.gid).padStart(5)}`;
  return `${permissionText(node)} ${who} ${String(node.sizeBytes ?? 0).padStart(12)} ${formatTime(node.mtime)}`;
}

const letters = { file: '-', dir: 'd', symlink: 'l', dev: 'b', chardev: 'c', fifo: 'p', socket: 's', irregular: '?' };

/** As `ls -l` has it. */
export function permissionText({ type, mode }: Pick<TreeNode, 'type' | 'mode'>): string {
  const bits = permissionsOf(mode);
  const special = [0o4000, 0o2000, 0o1000];
  const triples = [6, 3, 0].map((shift, i) => {
    const own = bits >> shift;
    const isSpecial = (bits & (special[i] as number)) !== 0;
    const mark = i === 2 ? 't' : 's';
    const run = (own & 1) !== 0 ? (isSpecial ? mark : 'x') : isSpecial ? mark.toUpperCase() : '-';
    return `${(own & 4) !== 0 ? 'r' : '-'}${(own & 2) !== 0 ? 'w' : '-'}${run}`;
  });
  return letters[type] + triples.join('');
}

/** As restic's `--json` has it; `path_raw` (base64) where the path is no UTF-8. */
function nodeJson(path: RawPath, node: TreeNode): Buffer {
  const { type, uid, gid, user, group, mode, mtime, atime, ctime, sizeBytes, inode, linkTarget } = node;
  const value = {
    ...{ name: shown(node.name), type, path: shown(path), uid, gid, user, group },
    ...(sizeBytes !== undefined && { size: Number(sizeBytes) }),
    ...{ mode, permissions: permissionText(node), mtime, atime, ctime, inode: Number(inode ?? 0) },
    ...(linkTarget !== undefined && { linktarget: shown(linkTarget) }),
    ...(typeof path !== 'string' && { path_raw: Buffer.from(byteKey(path), 'latin1').toString('base64') }),
    ...{ struct_type: 'node', message_type: 'node' },
  };
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

/** Writes lines together: a call for each would cost more than the listing. */
class Lines {
  readonly #session: Session;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  add(line: Buffer): void {
    this.#pieces.push(line);
    this.#bytes += line.length;
    if (this.#bytes > 65_536) this.end();
  }

  end(): void {
    if (this.#pieces.length > 0) this.#session.screen.write(Buffer.concat(this.#pieces));
    this.#pieces = [];
    this.#bytes = 0;
  }
}
