import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { makeDirectories } from '../../make-directories.ts';
import { codeOf, failedWrite, makeDirectory, publishOpen, syncDirectory, type Modes } from './durable-write.ts';

/** A file of a repository that is written before its name is known, which is the hash of all of it. */
export interface GrowingFile {
  /** Blocks while the system takes the bytes, as a thread of its own may. @throws MusterError TARGET_FULL */
  append(bytes: Uint8Array): void;
  /** When it returns, the file is durable and whole under its name. @throws MusterError TARGET_FULL */
  finish(file: string): Promise<void>;
  /** Leaves nothing of it; for one that is finished nothing happens. */
  discard(): void;
}

/** @param aside its place until it is finished: in the same file system */
export function openGrowingFile(aside: string, modes: Modes): GrowingFile {
  const fd = create(aside, modes);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  const discard = (): void => {
    if (!isOpen) return;
    close();
    rmSync(aside, { force: true });
  };
  return {
    append(bytes) {
      try {
        for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      } catch (err) {
        discard();
        throw failedWrite(aside, err);
      }
    },
    async finish(file) {
      try {
        await publishOpen(fd, modes);
        await makeDirectory(path.dirname(file), modes);
        await rename(aside, file);
        await syncDirectory(path.dirname(file));
        close();
      } catch (err) {
        discard();
        throw failedWrite(file, err);
      }
    },
    discard,
  };
}

function create(aside: string, modes: Modes): number {
  try {
    return openNew(aside, modes);
  } catch (err) {
    throw failedWrite(aside, err);
  }
}

function openNew(aside: string, modes: Modes): number {
  try {
    return openSync(aside, 'wx', 0o600);
  } catch (err) {
    if (codeOf(err) !== 'ENOENT') throw err;
    makeDirectories(path.dirname(aside), modes.directory);
    return openSync(aside, 'wx', 0o600);
  }
}
