/**
 * Where the objects of a bucket lie in a snapshot: at the path that their key says, so that stock restic restores a
 * tree that a person recognises. What no directory can hold is written otherwise, the same way each time:
 * `%` as `%25`; the names `.` and `..` as `%2E` and `%2E%2E`; an empty name, as in `a//b` or at the end of `a/`, as
 * `%00`, a zero byte as `%00b`; and a directory whose name an object has too gets a `%` behind it. The key itself is kept as an
 * attribute wherever the path is another.
 */
export interface ObjectPaths {
  /** Keys must come in the order of their bytes, as stores list them. */
  pathOf(key: string): string;
}

export function createObjectPaths(root: string): ObjectPaths {
  /** Keys that the last one begins with. */
  let beginnings: string[] = [];
  return {
    pathOf(key) {
      beginnings = beginnings.filter((one) => key.startsWith(one));
      const names: string[] = [];
      let end = 0;
      for (const [i, name] of key.split('/').entries()) {
        end += name.length + (i === 0 ? 0 : 1);
        const isDirectory = end < key.length;
        const isTaken = isDirectory && beginnings.includes(key.slice(0, end));
        names.push(safeName(name) + (isTaken ? '%' : ''));
      }
      beginnings.push(key);
      return `${root}/${names.join('/')}`;
    },
  };
}

function safeName(name: string): string {
  if (name === '') return '%00';
  if (name === '.') return '%2E';
  if (name === '..') return '%2E%2E';
  return name.replaceAll('%', '%25').replaceAll('\0', '%00b');
}

/** What stands in keys for the name of a directory that `createObjectPaths` made. */
export function directoryInKeys(name: string): string {
  // Every `%` that is written for something has characters behind it.
  const plain = name.endsWith('%') ? name.slice(0, -1) : name;
  if (plain === '%00') return '';
  return plain.replaceAll(/%(2E|25|00b)/g, (_, what: string) => meanings[what]!);
}

const meanings: Readonly<Record<string, string>> = { '2E': '.', '25': '%', '00b': '\0' };
