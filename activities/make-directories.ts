import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';

/**
 * Makes a directory and those above it that are missing. The `recursive` of Node calls a full or read-only file system
 * ENOENT, and never ends where a file system takes no names (`/proc`).
 * @param mode of those that are made
 * @returns the topmost that was made; undefined when all of it was there
 * @throws what the system says of the one that cannot be made; EEXIST when something else has its name
 */
export function makeDirectories(directory: string, mode = 0o777): string | undefined {
  const wanted = path.resolve(directory);
  const made = make(wanted, mode);
  if (made !== 'no-parent') return made === 'made' ? wanted : undefined;
  const first = makeDirectories(path.dirname(wanted), mode);
  return make(wanted, mode, 'parent-is-there') === 'made' ? (first ?? wanted) : first;
}

function make(wanted: string, mode: number, known?: 'parent-is-there'): 'made' | 'was-there' | 'no-parent' {
  try {
    mkdirSync(wanted, { mode });
    return 'made';
  } catch (err) {
    if (isDirectory(wanted)) return 'was-there';
    // Also where the one above is there by now: somebody else may have made it since. Whoever has looked is not sent again.
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT' || known === 'parent-is-there') throw err;
    return 'no-parent';
  }
}

function isDirectory(name: string): boolean {
  return statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
}
