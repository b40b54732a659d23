import { readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from '../../backup/repository/durable-write.ts';

/** What there is where a directory should be. `restoring`: a restore into it has begun and not ended. */
export type PlaceState =
  | { kind: 'missing' }
  | { kind: 'no-directory' }
  | { kind: 'unreadable'; why: string }
  | { kind: 'empty' }
  | { kind: 'restoring'; token: string }
  | { kind: 'present'; entries: number };

/** Lies in a directory while it is restored, so that nobody takes the half of it for the whole. Holds the step's token. */
const markName = '.muster-restoring';

export async function stateOf(directory: string): Promise<PlaceState> {
  try {
    if (!(await stat(directory)).isDirectory()) return { kind: 'no-directory' };
    const names = await readdir(directory);
    if (names.includes(markName)) {
      return { kind: 'restoring', token: await readFile(path.join(directory, markName), 'utf8') };
    }
    // What a new file system of ext4 holds is nothing.
    const entries = names.filter((name) => name !== 'lost+found').length;
    return entries === 0 ? { kind: 'empty' } : { kind: 'present', entries };
  } catch (err) {
    const code = codeOf(err);
    if (code === 'ENOENT') return { kind: 'missing' };
    if (code === 'ENOTDIR') return { kind: 'no-directory' };
    return { kind: 'unreadable', why: err instanceof Error ? err.message : String(err) };
  }
}

export async function markRestoring(directory: string, token: string): Promise<void> {
  await writeFile(path.join(await realpath(directory), markName), token);
}

export async function markRestored(directory: string): Promise<void> {
  await rm(path.join(directory, markName), { force: true });
}

/** For people: what is at a place. */
export function stateText(state: PlaceState): string {
  switch (state.kind) {
    case 'missing':
      return 'is not there';
    case 'no-directory':
      return 'is no directory';
    case 'unreadable':
      return `cannot be read (${state.why})`;
    case 'empty':
      return 'is empty';
    case 'restoring':
      return 'is restored in part only';
    case 'present':
      return `holds ${state.entries} ${state.entries === 1 ? 'entry' : 'entries'}`;
  }
}
