import { StorageError } from '../errors.ts';

const most = 10_000;

/** Expands `{1...4}` and `{01...16}` in a name, leftmost slowest. @throws StorageError InvalidArgument with the place. */
export function expand(pattern: string): string[] {
  const open = pattern.indexOf('{');
  if (open < 0) {
    if (pattern.includes('}')) throw wrong(pattern, `a } without its { at character ${pattern.indexOf('}') + 1}`);
    return [pattern];
  }
  const close = pattern.indexOf('}', open);
  const inside = close < 0 ? '' : pattern.slice(open + 1, close);
  const range = /^(\d{1,6})\.\.\.(\d{1,6})$/.exec(inside);
  if (range === null) throw wrong(pattern, `{${inside} at character ${open + 1} is no range such as {1...4}`);
  const [, first, last] = range as unknown as [string, string, string];
  const count = Number(last) - Number(first) + 1;
  if (count < 1) throw wrong(pattern, `{${inside}} runs backwards`);
  const width = first.startsWith('0') ? first.length : 0;
  const rest = expand(pattern.slice(close + 1));
  if (count * rest.length > most) throw wrong(pattern, `it names more than ${most} drives`);
  return Array.from({ length: count }, (_, i) => String(Number(first) + i).padStart(width, '0')).flatMap((middle) =>
    rest.map((tail) => pattern.slice(0, open) + middle + tail),
  );
}

function wrong(pattern: string, why: string): StorageError {
  return new StorageError('InvalidArgument', `drives "${pattern}": ${why}`);
}
