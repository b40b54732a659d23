import { lstatSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';

/**
 * The paths to save as one tree from the root down: `whole` directories are walked, the others hold only what leads to
 * the paths that were named.
 */
export interface Target {
  whole: boolean;
  children: Map<string, Target>;
}

/**
 * Absolute, without doubles, without what lies in another one; in the order of restic's snapshots.
 * @throws MusterError SOURCE_UNREADABLE naming the first path that is not there
 */
export function sourcePaths(paths: readonly string[], cwd = process.cwd()): string[] {
  if (paths.length === 0) throw new MusterError('CONFIG_INVALID', 'no path to back up was given');
  const absolute = [...new Set(paths.map((one) => withoutLinks(path.resolve(cwd, one))))].toSorted();
  for (const one of absolute) {
    try {
      lstatSync(one);
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
      throw new MusterError('SOURCE_UNREADABLE', `${one} cannot be backed up (${code})`, { cause });
    }
  }
  return absolute;
}

/** Links on the way are followed, or the snapshot would hold the link and not what lies behind it; the last name may be one. */
function withoutLinks(one: string): string {
  try {
    return path.join(realpathSync(path.dirname(one)), path.basename(one));
  } catch {
    return one;
  }
}

export function targetTree(paths: readonly string[]): Target {
  const root: Target = { whole: false, children: new Map() };
  for (const one of paths) {
    let at = root;
    for (const name of one.split('/').filter((part) => part !== '')) {
      let next = at.children.get(name);
      if (next === undefined) at.children.set(name, (next = { whole: false, children: new Map() }));
      at = next;
    }
    at.whole = true;
  }
  return root;
}
