import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { MusterError } from '../../workflows/engine/errors.ts';

/**
 * Replaces a small JSON file so that after a crash at any moment the old or the new content is there, whole:
 * write aside, fsync, rename, fsync of the directory. Synchronous: a promise made after it returns can be kept.
 */
export function writeDurably(path: string, content: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  const aside = `${path}.new`;
  const file = openSync(aside, 'w', 0o600);
  try {
    writeSync(file, `${JSON.stringify(content)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
  syncDirectory(dirname(path));
}

/**
 * What `writeDurably` wrote; null when there is no such file. @throws MusterError CONFIG_INVALID when the file is there
 * and makes no sense: starting from nothing would forget promises made, so a person looks first.
 */
export function readDurable<T>(path: string, schema: z.ZodType<T>): T | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (err) {
    if (err instanceof Error && 'code' in err && err.code === 'ENOENT') return null;
    throw new MusterError('CONFIG_INVALID', `state file ${path} cannot be read`, { cause: err });
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (err) {
    throw new MusterError('CONFIG_INVALID', `state file ${path} is damaged`, { cause: err });
  }
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
