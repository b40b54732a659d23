import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** A key that only the target has, as it was listed. */
export interface Doomed {
  key: string;
  etag: string;
  sizeBytes: number;
  lastModifiedMs?: number;
}

/** Keys to delete at the end of a pass, however many: kept in a file, not in memory. */
export interface DoomedList extends AsyncDisposable {
  add(some: readonly Doomed[]): Promise<void>;
  all(): AsyncGenerator<Doomed>;
  /** Takes the file away for good: the pass is over. */
  clear(): void;
}

/** With a directory the list outlives the process, so that a pass in several pieces knows them all. */
export function openDoomedList(directory: string | undefined): DoomedList {
  // One of its own is made when there is something to keep: what is killed before leaves nothing behind.
  let folder = directory;
  const file = (): string | undefined => (folder === undefined ? undefined : path.join(folder, 'doomed.jsonl'));
  const begin = (): Promise<FileHandle> => {
    folder ??= mkdtempSync(path.join(os.tmpdir(), 'muster-pass-'));
    return open(file()!, 'a');
  };
  let handle: Promise<FileHandle> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return {
    add(some) {
      if (some.length === 0) return Promise.resolve();
      const text = some.map((one) => `${JSON.stringify(one)}\n`).join('');
      handle ??= begin();
      const written = Promise.all([handle, last]).then(([to]) => to.appendFile(text));
      last = written;
      return written;
    },
    async *all() {
      await last;
      const kept = file();
      if (kept === undefined || !existsSync(kept)) return;
      const lines = createInterface({ input: createReadStream(kept), crlfDelay: Infinity });
      for await (const line of lines) if (line !== '') yield JSON.parse(line) as Doomed;
    },
    clear() {
      const kept = file();
      if (kept !== undefined) rmSync(kept, { force: true });
    },
    async [Symbol.asyncDispose]() {
      await last.catch(() => {});
      await (await handle)?.close();
      if (directory === undefined && folder !== undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}
