import { type Extent } from './data-row.ts';
import { type Active, type Segment } from './segment.ts';

/** Payloads up to this size are put together into one piece before they are written: cheaper than a vector of many. */
const copiedBytes = 16 * 1024;
const mostChunks = 512;
const mostGroupBytes = 8 * 1024 * 1024;

interface Waiting {
  header: Uint8Array;
  payload: Uint8Array;
  resolve: (extent: Extent) => void;
  reject: (error: unknown) => void;
}

/** Appends small blocks in groups: while one group is being written and synced, the next one gathers. */
export function createPacks(
  active: Active,
  sync: (segment: Segment) => Promise<void>,
  wrote: (bytes: number) => void,
): (header: Uint8Array, payload: Uint8Array) => Promise<Extent> {
  let waiting: Waiting[] = [];
  let flushing = false;

  const flush = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = takeGroup();
      await writeGroup(group).catch((error: unknown) => {
        for (const one of group) one.reject(error);
      });
    }
    flushing = false;
  };
  const takeGroup = (): Waiting[] => {
    let bytes = 0;
    let count = 0;
    while (count < waiting.length && bytes < mostGroupBytes) bytes += sizeOf(waiting[count++]!);
    return waiting.splice(0, count);
  };
  const writeGroup = async (group: readonly Waiting[]): Promise<void> => {
    const bytes = group.reduce((sum, one) => sum + sizeOf(one), 0);
    const { segment, offset } = await active(bytes, (now) => {
      const at = now.end;
      now.end += bytes;
      now.holds += group.length;
      return { segment: now, offset: at };
    });
    wrote(bytes);
    try {
      await writeChunks(segment, chunksOf(group), offset);
      await sync(segment);
    } catch (error) {
      segment.holds -= group.length;
      throw error;
    }
    let at = offset;
    for (const one of group) {
      one.resolve({ segment: segment.id, offset: at, firstBlock: 0, blocks: 1 });
      at += sizeOf(one);
    }
  };
  return (header, payload) =>
    new Promise((resolve, reject) => {
      waiting.push({ header, payload, resolve, reject });
      if (flushing) return;
      flushing = true;
      // What arrives in the same turn goes into the same group.
      queueMicrotask(() => void flush());
    });
}

function sizeOf({ header, payload }: Waiting): number {
  return header.length + payload.length;
}

async function writeChunks(segment: Segment, chunks: readonly Uint8Array[], offset: number): Promise<void> {
  for (let i = 0, at = offset; i < chunks.length; i += mostChunks) {
    const some = chunks.length <= mostChunks ? chunks : chunks.slice(i, i + mostChunks);
    await segment.handle.write(some, at);
    at += some.reduce((sum, chunk) => sum + chunk.length, 0);
  }
}

/** The group's bytes in order, small ones joined. */
function chunksOf(group: readonly Waiting[]): Uint8Array[] {
  const joinedBytes = group.reduce(
    (sum, one) => sum + (one.payload.length <= copiedBytes ? sizeOf(one) : one.header.length),
    0,
  );
  const joined = Buffer.allocUnsafeSlow(joinedBytes);
  const chunks: Uint8Array[] = [];
  let begun = 0;
  let at = 0;
  for (const { header, payload } of group) {
    joined.set(header, at);
    at += header.length;
    if (payload.length <= copiedBytes) {
      joined.set(payload, at);
      at += payload.length;
    } else {
      chunks.push(joined.subarray(begun, at), payload);
      begun = at;
    }
  }
  if (at > begun) chunks.push(joined.subarray(begun, at));
  return chunks;
}
