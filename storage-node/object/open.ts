import { stripeBytes, stripeDataBytes } from '../erasure/geometry.ts';
import { StorageError } from '../errors.ts';
import { type ByteTarget, type ObjectInfo, type OpenObject, type Part, type Version } from './model.ts';
import {
  createStripeReader,
  type ReadStripe,
  type StoredData,
  type StripeReader,
  type StripeReaderDeps,
} from './stripe-reader.ts';
import { type IndexKey, type SmallShard } from '../store/drive-api.ts';
import { type ErasureSet } from '../store/set.ts';

export interface OpenInput {
  info: ObjectInfo;
  version: Version;
  key: IndexKey;
  set: ErasureSet;
  heads: readonly { position: number; shard: SmallShard }[];
}

/** A stretch of one stripe of one part that a read covers. */
interface Stretch {
  part: Part;
  stripe: number;
  /** Inside the stripe: from, and one past the last. */
  from: number;
  to: number;
}

/** Opens a version for reading. Its data stays readable, even if it is removed or overwritten, until closed. */
export function openVersion(deps: StripeReaderDeps, input: OpenInput): OpenObject {
  const large = input.version.parts.filter(({ small }) => !small).map(({ dataId }) => dataId);
  const pins = large.length === 0 ? [] : input.set.drives.map((drive) => drive.api.pin(large));
  return {
    info: input.info,
    async send(first, last, target) {
      const stretches = stretchesOf(input.version.parts, first, last);
      const readers = new Map<Part, StripeReader>();
      const readerOf = (part: Part): StripeReader => {
        const known = readers.get(part);
        if (known !== undefined) return known;
        const heads = input.version.parts.length === 1 ? input.heads : [];
        const opened = createStripeReader(deps, dataOf(input, part), heads);
        readers.set(part, opened);
        return opened;
      };
      await sendStretches(stretches, readerOf, target);
    },
    close() {
      for (const pin of pins.splice(0)) pin.release();
    },
  };
}

function dataOf(input: OpenInput, part: Part): StoredData {
  return {
    key: input.key,
    set: input.set,
    dataId: part.dataId,
    sizeBytes: part.sizeBytes,
    small: part.small,
  };
}

/** Sends one stretch while the next is being read. */
async function sendStretches(
  stretches: Iterator<Stretch>,
  readerOf: (part: Part) => StripeReader,
  target: ByteTarget,
): Promise<void> {
  let ahead: { stretch: Stretch; stripe: Promise<ReadStripe> } | undefined;
  const readAhead = (): void => {
    const step = stretches.next();
    if (step.done === true) {
      ahead = undefined;
      return;
    }
    const stripe = readerOf(step.value.part).read(step.value.stripe);
    // Whoever stops before it is awaited must not leave an unhandled rejection behind.
    stripe.catch(() => {});
    ahead = { stretch: step.value, stripe };
  };
  readAhead();
  try {
    while (ahead !== undefined && !target.closed) {
      const { stretch, stripe }: { stretch: Stretch; stripe: Promise<ReadStripe> } = ahead;
      ahead = undefined;
      const read = await stripe;
      readAhead();
      if (!sendStripe(read, stretch, target)) await target.drained();
    }
  } finally {
    ahead?.stripe.then(
      (read) => read.release(),
      () => {},
    );
  }
}

/** @returns false when the target wants to be waited for. */
function sendStripe(read: ReadStripe, stretch: Stretch, target: ByteTarget): boolean {
  let holders = 1;
  const drop = (): void => {
    holders -= 1;
    if (holders === 0) read.release();
  };
  let wants = true;
  let at = 0;
  for (const piece of read.pieces) {
    const from = Math.max(0, stretch.from - at);
    const to = Math.min(piece.length, stretch.to - at);
    at += piece.length;
    if (from >= to) continue;
    holders += 1;
    wants = target.write(piece.subarray(from, to), drop);
  }
  drop();
  return wants;
}

function* stretchesOf(parts: readonly Part[], first: number, last: number): Generator<Stretch> {
  let begin = 0;
  for (const part of parts) {
    const end = begin + part.sizeBytes;
    if (end > first && begin <= last) {
      const from = Math.max(0, first - begin);
      const to = Math.min(part.sizeBytes, last - begin + 1);
      yield* stripesOf(part, from, to);
    }
    begin = end;
  }
  if (last >= begin && last >= first) {
    throw new StorageError('InvalidRange', `byte ${last} is past the end of ${begin} bytes`);
  }
}

function* stripesOf(part: Part, from: number, to: number): Generator<Stretch> {
  for (let stripe = Math.floor(from / stripeBytes); stripe * stripeBytes < to; stripe++) {
    const start = stripe * stripeBytes;
    yield {
      part,
      stripe,
      from: Math.max(0, from - start),
      to: Math.min(stripeDataBytes(part.sizeBytes, stripe), to - start),
    };
  }
}
