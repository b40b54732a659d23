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
  const own = directory === undefined ? mkdtempSync(path.join(os.tmpdir(), 'muster-pass-')) : undefined;
  const file = path.join(own ?? directory!, 'doomed.jsonl');
  let handle: Promise<FileHandle> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  return {
    add(some) {
      if (some.length === 0) return Promise.resolve();
      const text = some.map((one) => `${JSON.stringify(one)}\n`).join('');
      handle ??= open(file, 'a');
      const written = Promise.all([handle, last]).then(([to]) => to.appendFile(text));
      last = written;
      return written;
    },
    async *all() {
      await last;
      if (!existsSync(file)) return;
      const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
      for await (const line of lines) if (line !== '') yield JSON.parse(line) as Doomed;
    },
    clear() {
      rmSync(file, { force: true });
    },
    async [Symbol.asyncDispose]() {
      await last.catch(() => {});
      await (await handle)?.close();
      if (own !== undefined) rmSync(own, { recursive: true, force: true });
    },
  };
}
