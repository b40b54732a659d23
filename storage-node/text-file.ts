import { readFileSync } from 'node:fs';

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'is not there; put the file there or correct the path',
  ENOTDIR: 'is not there; put the file there or correct the path',
  EISDIR: 'is a directory; name the file in it',
  EACCES: 'this user may not read; change its owner or mode',
  EPERM: 'this user may not read; change its owner or mode',
};

/** Why a file could not be read and what to do, as the rest of a sentence: `/x, which …`. */
export function whyUnread(cause: unknown): string {
  const code = (cause as { code?: string } | undefined)?.code ?? 'unknown reason';
  return reasons[code] ?? `cannot be read (${code})`;
}

/** A small file of a person: its text, or why there is none. Never shows what is in it. */
export function readText(file: string): { text: string } | { why: string } {
  try {
    const text = readFileSync(file, 'utf8');
    return text.trim() === '' ? { why: 'is empty; write into it what belongs there' } : { text };
  } catch (error) {
    return { why: whyUnread(error) };
  }
}
