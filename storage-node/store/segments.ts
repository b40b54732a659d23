import { filePageBytes } from './block.ts';
import { type Extent } from './data-row.ts';
import { type FileHandle, type FileSystem } from './file-system.ts';
import { createPacks } from './packs.ts';
import { quarantineFile } from './quarantine.ts';
import { type Active, type Segment } from './segment.ts';

/** A new file is begun when this size is reached. */
export const segmentBytes = 256 * 1024 * 1024;

/** The append-only files of a drive. Small shards are appended in groups; staged data gets a stretch of its own. */
export interface Segments {
  /** Appends a small block and holds its file; resolves when it is durable, together with others of its moment. */
  append(header: Uint8Array, payload: Uint8Array): Promise<Extent>;
  /** Sets a stretch aside, beginning on a page if wanted, and holds its file. */
  reserve(bytes: number, onPages?: boolean): Promise<{ segment: Segment; offset: number }>;
  write(segment: Segment, chunks: readonly Uint8Array[], offset: number): Promise<void>;
  /** The same for memory and places that may be written past the page cache. */
  writePages(segment: Segment, pages: Uint8Array, offset: number): Promise<void>;
  /** Everything written to these so far is durable when it resolves; syncs are shared. */
  sync(segments: Iterable<Segment>): Promise<void>;
  /** Ends the hold of extents: a durable row names them now, or nobody ever will. */
  release(extents: readonly Extent[]): void;
  /** Undefined when there is no such file. */
  get(id: number): Segment | undefined;
  all(): Iterable<Segment>;
  /** Nothing more goes into this file; whoever writes next begins another. */
  seal(segment: Segment): void;
  /** Deletes a file nothing refers to any more; readers of it are let finish. */
  drop(segment: Segment): Promise<void>;
  close(): Promise<void>;
}

interface SegmentOptions {
  files: FileSystem;
  /** Of the drive. */
  directory: string;
  wrote: (bytes: number) => void;
}

/** Opens the segment files of a drive. What is begun from now on goes into new files. */
export async function openSegments({ files, directory: home, wrote }: SegmentOptions): Promise<Segments> {
  const directory = `${home}/segments`;
  await files.makeDirectory(directory);
  const known = await openKnown(files, home, directory);
  let nextId = Math.max(0, ...known.keys()) + 1;
  const pathOf = (id: number): string => `${directory}/${nameOf(id)}`;
  const begin = async (): Promise<Segment> => {
    const id = nextId++;
    const handle = await files.open(pathOf(id), 'create');
    const segment = { ...segmentOf(id, handle, 0), entry: files.syncDirectory(directory), open: true };
    segment.entry.catch(() => {});
    known.set(id, segment);
    return segment;
  };
  const stretches = createActive(begin);
  const syncs = createSyncs();
  const append = createPacks(createActive(begin), syncs, wrote);
  return {
    append,
    reserve: (bytes, onPages = false) =>
      stretches(bytes, (segment) => {
        const offset = onPages ? Math.ceil(segment.end / filePageBytes) * filePageBytes : segment.end;
        segment.end = offset + bytes;
        segment.holds += 1;
        wrote(bytes);
        return { segment, offset };
      }),
    write: (segment, chunks, offset) => segment.handle.write(chunks, offset),
    writePages: (segment, pages, offset) => segment.handle.writePages(pages, offset),
    sync: async (segments) => void (await Promise.all([...segments].map(syncs))),
    release(extents) {
      for (const { segment } of extents) {
        const held = known.get(segment);
        if (held !== undefined) held.holds -= 1;
      }
    },
    get: (id) => known.get(id),
    all: () => known.values(),
    seal(segment) {
      segment.open = false;
    },
    async drop(segment) {
      known.delete(segment.id);
      await files.remove(pathOf(segment.id));
      if (segment.readers === 0) await segment.handle.close();
      else segment.open = false;
    },
    async close() {
      for (const segment of known.values()) await segment.handle.close();
      known.clear();
    },
  };
}

/** Runs a read of a segment, which stays open for it even if it is dropped meanwhile. */
export async function reading<T>(segments: Segments, segment: Segment, read: () => Promise<T>): Promise<T> {
  segment.readers += 1;
  try {
    return await read();
  } finally {
    segment.readers -= 1;
    if (segment.readers === 0 && segments.get(segment.id) !== segment) await segment.handle.close();
  }
}

function nameOf(id: number): string {
  return `${String(id).padStart(10, '0')}.seg`;
}

function segmentOf(id: number, handle: FileHandle, end: number): Segment {
  return {
    ...{ id, handle, end, entry: Promise.resolve(), open: false },
    ...{ liveBytes: 0, lastDeathMs: -Infinity, holds: 0, readers: 0, spoiledAt: undefined },
  };
}

/** Opens what is there; whatever is no segment file is moved aside. */
async function openKnown(files: FileSystem, home: string, directory: string): Promise<Map<number, Segment>> {
  const known = new Map<number, Segment>();
  for (const name of (await files.list(directory)).sort()) {
    const id = Number(/^(\d{10})\.seg$/.exec(name)?.[1]);
    if (Number.isNaN(id)) {
      await quarantineFile({ files, home }, `${directory}/${name}`, 'it is no segment file, and lay among them');
      continue;
    }
    const handle = await files.open(`${directory}/${name}`, 'write');
    known.set(id, segmentOf(id, handle, await handle.size()));
  }
  return known;
}

/** An empty file takes whatever it is given. */
function hasRoom({ open, end }: Segment, bytes: number): boolean {
  return open && (end === 0 || end + bytes <= segmentBytes);
}

function createActive(begin: () => Promise<Segment>): Active {
  let active: Segment | undefined;
  let last: Promise<unknown> | undefined;
  return (bytes, take) => {
    const work = async (before: Promise<unknown> | undefined): Promise<ReturnType<typeof take>> => {
      await before;
      // Again when one was begun: it may be sealed already, and what is taken must be of an open file.
      while (active === undefined || !hasRoom(active, bytes)) {
        if (active !== undefined) active.open = false;
        active = await begin();
      }
      return take(active);
    };
    const turn = work(last);
    const over = (): void => {
      if (last === quiet) last = undefined;
    };
    const quiet: Promise<void> = turn.then(over, over);
    last = quiet;
    return turn;
  };
}

/** One sync of a file at a time; whoever comes while one is under way shares the next. */
function createSyncs(): (segment: Segment) => Promise<void> {
  const running = new Map<number, { now: Promise<void>; next: Promise<void> | undefined }>();
  const syncNow = async (segment: Segment): Promise<void> => {
    try {
      // The entry first: nothing in a file counts while the file itself may vanish.
      await segment.entry;
      await segment.handle.sync();
    } catch (error) {
      // Not even "no space": what a failed sync has lost nobody knows.
      throw new Error(
        `a sync failed: ${error instanceof Error ? error.message.replace(/ENOSPC/, 'full disk') : String(error)}`,
      );
    }
  };
  const start = (segment: Segment): Promise<void> => {
    const now = syncNow(segment);
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
