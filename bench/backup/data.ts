import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { readdirSync } from 'node:fs';
import path from 'node:path';

/** Every regular file below a directory, in the order of names. */
export function* filesBelow(directory: string): Generator<string> {
  const entries = readdirSync(directory, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const at = path.join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(at);
    else if (entry.isFile()) yield at;
  }
}

/**
 * Large files out of what lies in some directories, one real file behind the other: they compress as real data does
 * and hold no piece twice, unless the directories do.
 */
export function makeLargeFiles(into: string, from: readonly string[], shape: { count: number; bytes: number }): number {
  mkdirSync(into, { recursive: true });
  const sources = allFiles(from);
  let total = 0;
  for (let i = 0; i < shape.count; i++) {
    const fd = openSync(path.join(into, `large-${i}`), 'w');
    try {
      total += fill(fd, sources, shape.bytes);
    } finally {
      closeSync(fd);
    }
  }
  return total;
}

function* allFiles(from: readonly string[]): Generator<string> {
  for (const directory of from) yield* filesBelow(directory);
}

function fill(fd: number, sources: Iterator<string>, bytes: number): number {
  let done = 0;
  while (done < bytes) {
    const next = sources.next();
    if (next.done === true) break;
    const content = readFileSync(next.value);
    done += writeSync(fd, content, 0, Math.min(content.length, bytes - done));
  }
  return done;
}
