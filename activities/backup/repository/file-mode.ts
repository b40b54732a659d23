/**
 * Modes of files: restic stores Go's `os.FileMode`, whose bits for type and for setuid, setgid and sticky are its own.
 */
export type NodeType = 'file' | 'dir' | 'symlink' | 'dev' | 'chardev' | 'fifo' | 'socket' | 'irregular';

/** Bits of `st_mode` (POSIX) beside those of Go. */
const types = [
  { type: 'dir', posix: 0o040000, go: 2 ** 31 },
  { type: 'symlink', posix: 0o120000, go: 2 ** 27 },
  { type: 'dev', posix: 0o060000, go: 2 ** 26 },
  { type: 'chardev', posix: 0o020000, go: 2 ** 26 + 2 ** 21 },
  { type: 'fifo', posix: 0o010000, go: 2 ** 25 },
  { type: 'socket', posix: 0o140000, go: 2 ** 24 },
  { type: 'file', posix: 0o100000, go: 0 },
] as const satisfies readonly { type: NodeType; posix: number; go: number }[];

const bits = [
  { posix: 0o4000, go: 2 ** 23 },
  { posix: 0o2000, go: 2 ** 22 },
  { posix: 0o1000, go: 2 ** 20 },
];

const typeMask = 0o170000;
const goIrregular = 2 ** 19;

export function nodeTypeOf(posixMode: number): NodeType {
  return types.find(({ posix }) => posix === (posixMode & typeMask))?.type ?? 'irregular';
}

/** Go's mode for `st_mode`. */
export function goModeOf(posixMode: number): number {
  const type = types.find(({ posix }) => posix === (posixMode & typeMask))?.go ?? goIrregular;
  const special = bits.reduce((sum, { posix, go }) => sum + ((posixMode & posix) === 0 ? 0 : go), 0);
  return type + special + (posixMode & 0o777);
}

/** Permissions with setuid, setgid and sticky, as `chmod` takes them, for Go's mode. */
export function permissionsOf(goMode: number): number {
  const special = bits.reduce((sum, { posix, go }) => sum + ((goMode & go) === 0 ? 0 : posix), 0);
  return special + (goMode & 0o777);
}
