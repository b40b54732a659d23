/** The disk as a drive uses it: thin enough that a simulation can lose unsynced pages, tear writes and fail calls. */

export interface FileHandle {
  /** Fills `target` from the position; returns the bytes read (fewer at the end of the file). */
  read(target: Uint8Array, position: number): Promise<number>;
  /** The same without giving up the thread: for a few bytes that are most likely in memory. */
  readNow(target: Uint8Array, position: number): number;
  /** Writes all of the chunks, one behind the other. Not durable before `sync`. */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  /**
   * Writes whole pages (4096 bytes) at a page, from memory that begins on a sector (512); may go past the page cache. Not
   * durable before `sync`.
   */
  writePages(pages: Uint8Array, position: number): Promise<void>;
  /** Data and size are durable when it resolves. */
  sync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface FileSystem {
  /** `create` fails when the file exists, `write` and `read` when it does not. */
  open(path: string, mode: 'create' | 'write' | 'read'): Promise<FileHandle>;
  /** Names in a directory, unordered. */
  list(directory: string): Promise<string[]>;
  /** With all ancestors; fine if it exists. */
  makeDirectory(directory: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Entries that were made, renamed or removed in it are durable when it resolves. */
  syncDirectory(directory: string): Promise<void>;
  space(directory: string): Promise<{ totalBytes: number; freeBytes: number }>;
}

/** Writes a small file so that after a crash either the old or the new content is there, whole. */
export async function writeWhole(
  files: FileSystem,
  directory: string,
  name: string,
  content: Uint8Array,
): Promise<void> {
  const draft = `${directory}/.${name}.new`;
  await files.remove(draft).catch(() => {});
  const handle = await files.open(draft, 'create');
  try {
    await handle.write([content], 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await files.rename(draft, `${directory}/${name}`);
  await files.syncDirectory(directory);
}

/** A small file's content; undefined when there is no such file. */
export async function readWhole(files: FileSystem, path: string): Promise<Buffer | undefined> {
  const handle = await files.open(path, 'read').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  try {
    const content = Buffer.alloc(await handle.size());
    await handle.read(content, 0);
    return content;
  } finally {
    await handle.close();
  }
}
