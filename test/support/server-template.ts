import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

const cache = path.join(import.meta.dirname, '../../.muster/cache');

/** What decides how an empty server looks: its programs, how they are called, and the source files that say so. */
export interface ServerRecipe {
  binDir: string;
  variant: string;
  sources: readonly string[];
}

/**
 * An empty server in `dataDir`: a copy of the one that `make` made the first time, for `initdb` costs two seconds of
 * processor time and a copy a tenth of that. All copies have one system identifier.
 */
export async function makeFromTemplate(
  recipe: ServerRecipe,
  dataDir: string,
  make: () => Promise<void> | void,
): Promise<void> {
  const template = path.join(cache, `test-server-${fingerprint(recipe)}`);
  if (existsSync(template)) {
    copy(template, dataDir);
    return;
  }
  await make();
  mkdirSync(cache, { recursive: true });
  const partial = `${template}.${process.pid}`;
  copy(dataDir, partial);
  try {
    renameSync(partial, template);
  } catch {
    // Another process was first, with the same.
    rmSync(partial, { recursive: true, force: true });
  }
}

function fingerprint({ binDir, variant, sources }: ServerRecipe): string {
  const hash = createHash('sha256').update(`${binDir}\n${variant}\n`);
  // A package that is replaced has other programs in the same place.
  for (const file of [path.join(binDir, 'initdb'), import.meta.filename, ...sources]) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

/** With owners and modes, which Node's own copy does not keep. */
function copy(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to]);
}
