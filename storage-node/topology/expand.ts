import { StorageError } from '../errors.ts';

const most = 10_000;

/** Expands `{1...4}` and `{01...16}` in a name, leftmost slowest. @throws StorageError InvalidArgument with the place. */
export function expand(pattern: string): string[] {
  return expandFrom(pattern, 0);
}

function expandFrom(pattern: string, from: number): string[] {
  const open = pattern.indexOf('{', from);
  const stray = pattern.indexOf('}', from);
  if (stray >= 0 && (open < 0 || stray < open)) throw wrong(pattern, `a } without its { at character ${stray + 1}`);
  if (open < 0) return [pattern.slice(from)];
  const close = stray;
  const braces = close < 0 ? '{' : pattern.slice(open, close + 1);
  const range = /^\{(\d{1,6})\.\.\.(\d{1,6})\}$/.exec(braces);
  if (range === null) throw wrong(pattern, `${braces} at character ${open + 1} is no range such as {1...4}`);
  const [, first, last] = range as unknown as [string, string, string];
  const count = Number(last) - Number(first) + 1;
  if (count < 1) throw wrong(pattern, `${braces} at character ${open + 1} runs backwards`);
  const width = first.startsWith('0') ? first.length : 0;
  const rest = expandFrom(pattern, close + 1);
  if (count * rest.length > most) throw wrong(pattern, `it names more than ${most} drives`);
  return Array.from({ length: count }, (_, i) => String(Number(first) + i).padStart(width, '0')).flatMap((middle) =>
    rest.map((tail) => pattern.slice(from, open) + middle + tail),
  );
}

function wrong(pattern: string, why: string): StorageError {
  return new StorageError('InvalidArgument', `drives "${pattern}": ${why}`);
}
