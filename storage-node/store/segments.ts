import { type FileHandle, type FileSystem } from './file-system.ts';
import { type Extent } from './rows.ts';

/** A new file is begun when this size is reached. */
export const segmentBytes = 256 * 1024 * 1024;

export interface Segment {
  id: number;
  handle: FileHandle;
  /** Where the next bytes go; only of the files this process began. */
  end: number;
  /** Its directory entry is durable. */
  entry: Promise<void>;
  /** Bytes that rows refer to, headers included; known once the index was counted. */
  liveBytes: number;
  open: boolean;
  /** Extents that were written or set aside and that no row names yet: the file must not go. */
  holds: number;
}

/** The append-only files of a drive. Small shards are appended in groups; staged data gets a stretch of its own. */
export interface Segments {
  /** Appends a small block and holds its file; resolves when it is durable, together with others of its moment. */
  append(chunks: readonly Uint8Array[]): Promise<Extent>;
  /** Sets a stretch aside and holds its file. */
  reserve(bytes: number): Promise<{ segment: Segment; offset: number }>;
  write(segment: Segment, chunks: readonly Uint8Array[], offset: number): Promise<void>;
  /** Everything written to these so far is durable when it resolves; syncs are shared. */
  sync(segments: Iterable<Segment>): Promise<void>;
  /** Ends the hold of an extent: a row names it now, or nobody ever will. */
  release(extents: readonly Extent[]): void;
  /** Undefined when there is no such file. */
  get(id: number): Segment | undefined;
  all(): Iterable<Segment>;
  /** Deletes a file nothing refers to any more. */
  drop(segment: Segment): Promise<void>;
  close(): Promise<void>;
}

interface Waiting {
  chunks: readonly Uint8Array[];
  bytes: number;
  resolve: (extent: Extent) => void;
  reject: (error: unknown) => void;
}

/** Opens the segment files of a directory. What is begun from now on goes into new files. */
export async function openSegments(files: FileSystem, directory: string): Promise<Segments> {
  const known = new Map<number, Segment>();
  for (const name of await files.list(directory)) {
    const match = /^(\d{10})\.seg$/.exec(name);
    if (match === null) continue;
    const id = Number(match[1]);
    const handle = await files.open(`${directory}/${name}`, 'write');
    known.set(id, {
      id,
      handle,
      end: await handle.size(),
      entry: Promise.resolve(),
      liveBytes: 0,
      open: false,
      holds: 0,
    });
  }
  let nextId = Math.max(0, ...known.keys()) + 1;
  const pathOf = (id: number): string => `${directory}/${String(id).padStart(10, '0')}.seg`;
  const begin = async (): Promise<Segment> => {
    const id = nextId++;
    const handle = await files.open(pathOf(id), 'create');
    const segment: Segment = {
      id,
      handle,
      end: 0,
      holds: 0,
      entry: files.syncDirectory(directory),
      liveBytes: 0,
      open: true,
    };
    segment.entry.catch(() => {});
    known.set(id, segment);
    return segment;
  };
  const makeActive = (): ((bytes: number) => Promise<Segment>) => {
    let active: Promise<Segment> | undefined;
    return async (bytes) => {
      const now = await active;
      if (now === undefined || now.end + bytes > segmentBytes) {
        if (now !== undefined) now.open = false;
        active = begin();
      }
      return active!;
    };
  };
  const packs = serial(makeActive());
  const stretches = serial(makeActive());
  const syncs = createSyncs();

  let waiting: Waiting[] = [];
  let flushing = false;
  const flush = async (): Promise<void> => {
    flushing = true;
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      await writeGroup(group).catch((error: unknown) => {
        for (const one of group) one.reject(error);
      });
    }
    flushing = false;
  };
  const writeGroup = async (group: readonly Waiting[]): Promise<void> => {
    const segment = await packs(
      group.reduce((sum, { bytes }) => sum + bytes, 0),
      (now, bytes) => {
        const at = now.end;
        now.end += bytes;
        now.holds += group.length;
        return { segment: now, at };
      },
    );
    const chunks = group.flatMap((one) => one.chunks);
    for (let i = 0, at = segment.at; i < chunks.length; i += 512) {
      const some = chunks.slice(i, i + 512);
      await segment.segment.handle.write(some, at);
      at += some.reduce((sum, chunk) => sum + chunk.length, 0);
    }
    await syncs(segment.segment);
    let offset = segment.at;
    for (const one of group) {
      one.resolve({ segment: segment.segment.id, offset, firstBlock: 0, blocks: 1 });
      offset += one.bytes;
    }
  };
  return {
    append(chunks) {
      const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      return new Promise((resolve, reject) => {
        waiting.push({ chunks, bytes, resolve, reject });
        if (!flushing) {
          flushing = true;
          // What arrives in the same turn goes into the same group.
          setImmediate(() => void flush());
        }
      });
    },
    reserve: (bytes) =>
      stretches(bytes, (segment, size) => {
        const offset = segment.end;
        segment.end += size;
        segment.holds += 1;
        return { segment, offset };
      }),
    write: (segment, chunks, offset) => segment.handle.write(chunks, offset),
    sync: async (segments) => void (await Promise.all([...segments].map(syncs))),
    release(extents) {
      for (const { segment } of extents) {
        const held = known.get(segment);
        if (held !== undefined) held.holds -= 1;
      }
    },
    get: (id) => known.get(id),
    all: () => known.values(),
    async drop(segment) {
      known.delete(segment.id);
      await files.remove(pathOf(segment.id));
      await segment.handle.close();
    },
    async close() {
      for (const segment of known.values()) await segment.handle.close();
      known.clear();
    },
  };
}

/** One caller after the other picks the active file and takes its stretch of it. */
function serial(
  pick: (bytes: number) => Promise<Segment>,
): <T>(bytes: number, take: (segment: Segment, bytes: number) => T) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (bytes, take) => {
    const turn = last.then(() => pick(bytes)).then((segment) => take(segment, bytes));
    last = turn.catch(() => {});
    return turn;
  };
}

/** One sync of a file at a time; whoever comes while one is under way shares the next. */
function createSyncs(): (segment: Segment) => Promise<void> {
  const running = new Map<number, { now: Promise<void>; next: Promise<void> | undefined }>();
  const start = (segment: Segment): Promise<void> => {
    const now = Promise.all([segment.entry, segment.handle.sync()]).then(() => {});
    const entry = { now, next: undefined };
    running.set(segment.id, entry);
    const over = (): void => {
      if (running.get(segment.id) === entry) running.delete(segment.id);
    };
    now.then(over, over);
    return now;
  };
  return (segment) => {
    const entry = running.get(segment.id);
    if (entry === undefined) return start(segment);
    entry.next ??= entry.now.catch(() => {}).then(() => start(segment));
    return entry.next;
  };
}
