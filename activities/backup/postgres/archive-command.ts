import path from 'node:path';
import { toMusterError } from '../../../workflows/engine/errors.ts';
import { DirectoryWalArchive } from './directory-wal-archive.ts';
import { archiveWal, type WalArchive } from './wal-archive.ts';
import { fileContent } from './wal-content.ts';

export interface CommandResult {
  /** 0: the file is in the archive, durable, and the server may forget it. 1: it is not, and the server asks again. */
  exitCode: 0 | 1;
  /** For the server's log. */
  message: string;
}

/**
 * What a server's `archive_command` does with one file (`%p`): it may be asked for the same file again at any time. The
 * first bytes under a name stay; others are refused, loudly, as long as the server asks.
 */
export async function runArchiveCommand(archive: WalArchive, file: string): Promise<CommandResult> {
  const name = path.basename(file);
  try {
    const outcome = await archiveWal(archive, name, await fileContent(file));
    return {
      exitCode: 0,
      message: outcome === 'same' ? `${name} was in ${archive.place} already` : `${name} is stored`,
    };
  } catch (err) {
    const { code, message, hint } = toMusterError(err);
    return { exitCode: 1, message: `${code}: ${message}. ${hint}` };
  }
}

/** `archive_command` for a directory, as a program: `<node> archive-program.ts <directory> %p`. */
export async function archiveProgram(args: readonly string[]): Promise<CommandResult> {
  const [directory, file] = args;
  if (directory === undefined || file === undefined) {
    return { exitCode: 1, message: 'usage: archive-program.ts <directory of the archive> <file>' };
  }
  return runArchiveCommand(new DirectoryWalArchive(path.resolve(directory)), file);
}
