import { readdirSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Protected } from '../../workflows/engine/protection.ts';
import { backup } from '../backup/engine/backup.ts';
import { codeOf } from '../backup/repository/durable-write.ts';
import { directoryAt } from '../drivers/directory/config.ts';
import type { BackupSource } from './backup-source.ts';

/**
 * A directory of this machine as something to save. The snapshot is of the place that it really lies at: a link in its
 * name is followed, or the link alone would be saved.
 * @throws MusterError SOURCE_UNREADABLE when it is not there, is no directory, or cannot be looked into
 */
export function openDirectory({ resource, site }: Protected): BackupSource {
  const { path: named, exclude, oneFileSystem, xattrs } = directoryAt(resource, site);
  const directory = readableDirectory(`${resource.name} at ${site}`, named);
  const excludes = exclude.map((pattern) => anchored(pattern, directory));
  let takenAtMs = Date.now();
  return {
    save({ parent, ...options }) {
      // What is written from now on may be in it or not.
      takenAtMs = Date.now();
      return backup({ ...options, paths: [directory], parent: parent ?? 'none', excludes, oneFileSystem, xattrs });
    },
    totalBytes: () => null,
    facts: ({ directories, others }) => ({ takenAtMs, facts: { path: directory, directories, others } }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function readableDirectory(what: string, named: string): string {
  let directory: string;
  try {
    directory = realpathSync(named);
    if (statSync(directory).isDirectory()) {
      readdirSync(directory);
      return directory;
    }
  } catch (cause) {
    throw new MusterError('SOURCE_UNREADABLE', `${what}: ${named} cannot be backed up (${codeOf(cause)})`, { cause });
  }
  throw new MusterError('SOURCE_UNREADABLE', `${what}: ${named} is no directory`);
}

/** A pattern of the estate that begins with a slash counts from the directory: at another site it lies elsewhere. */
function anchored(pattern: string, directory: string): string {
  return pattern.startsWith('/') ? path.join(literal(directory), pattern) : pattern;
}

const literal = (text: string): string => text.replace(/[*?[\\]/g, '\\$&');
