/** What a copy says of itself, in the user metadata of the object it makes. */
export interface Marks {
  /** ETag of the source object it was made from. */
  sourceEtag: string;
  /** Version of the source, '' where it had none. */
  sourceVersion: string;
  /** By the source's clock, Unix milliseconds. */
  writtenAtMs: number;
  /** Of the replication that wrote it: a higher one is never overwritten by a lower one. */
  epoch: number;
  /** Whose users wrote it first; '' when nobody said. Two that copy to each other know their own by it. */
  origin: string;
}

const names = {
  sourceEtag: 'muster-etag',
  sourceVersion: 'muster-version',
  writtenAtMs: 'muster-written-at',
  epoch: 'muster-epoch',
  origin: 'muster-origin',
} as const;
const all: ReadonlySet<string> = new Set(Object.values(names));

/** As metadata, to go with the object's own. */
export function writeMarks(marks: Marks): Record<string, string> {
  const written: Record<string, string> = {
    [names.sourceEtag]: marks.sourceEtag,
    [names.writtenAtMs]: new Date(marks.writtenAtMs).toISOString(),
    [names.epoch]: String(marks.epoch),
  };
  if (marks.sourceVersion !== '') written[names.sourceVersion] = marks.sourceVersion;
  if (marks.origin !== '') written[names.origin] = marks.origin;
  return written;
}

/** Undefined for an object that no mover wrote. */
export function readMarks(metadata: Readonly<Record<string, string>>): Marks | undefined {
  const sourceEtag = metadata[names.sourceEtag];
  const writtenAtMs = Date.parse(metadata[names.writtenAtMs] ?? '');
  const epoch = Number(metadata[names.epoch]);
  if (sourceEtag === undefined || Number.isNaN(writtenAtMs) || !Number.isInteger(epoch)) return undefined;
  return {
    ...{ sourceEtag, writtenAtMs, epoch },
    sourceVersion: metadata[names.sourceVersion] ?? '',
    origin: metadata[names.origin] ?? '',
  };
}

/** The object's own metadata: a copy of a copy carries the marks of its own source only. */
export function withoutMarks(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const own: Record<string, string> = {};
  for (const name in metadata) if (!all.has(name)) own[name] = metadata[name]!;
  return own;
}
