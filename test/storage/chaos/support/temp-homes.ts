import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Directories for the drives of so many nodes. */
export function tempHomes(count: number): { dirs: string[] } & Disposable {
  const home = mkdtempSync(path.join(os.tmpdir(), 'muster-homes-'));
  return {
    dirs: Array.from({ length: count }, (_, i) => path.join(home, `node${i + 1}`)),
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  };
}
