import { MusterError } from '../../../workflows/engine/errors.ts';
import { type PutBody, type StreamBody } from '../types.ts';

/** Larger bodies go out in slices, so that one can see them move. */
const sliceBytes = 256 * 1024;

/** What `send` reports while a body goes out. */
export interface BodyWatch {
  /** The socket took what it was given and asks for more. */
  moved(): void;
  /** The source is asked for more and has not answered: no fault of the connection. */
  waitsForSource(waits: boolean): void;
  sent(): void;
  /** What has to be closed when the request ends before the source does. */
  opened(source: AsyncIterator<Uint8Array>): void;
  /** The source failed, so that the request has to. */
  failed(error: unknown): void;
  /** The first byte goes alone. */
  careful: boolean;
  /** Asked before each piece: undefined to go on, else when to ask again. */
  hold(): Promise<void> | undefined;
}

/** A body as undici takes it: bytes at once where they are few, else something that is pulled. */
export function outgoing(body: PutBody, watch: BodyWatch): Buffer | AsyncIterable<Uint8Array> | null {
  if (!(body instanceof Uint8Array)) return body.sizeBytes === 0 ? null : pulled(body, watch);
  if (body.length === 0) return null;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return bytes.length <= sliceBytes ? bytes : pulled({ sizeBytes: bytes.length, open: () => slices(bytes) }, watch);
}

async function* slices(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += sliceBytes) yield bytes.subarray(at, at + sliceBytes);
}

async function* pulled({ sizeBytes, open }: StreamBody, watch: BodyWatch): AsyncGenerator<Uint8Array> {
  let broughtBytes = 0;
  try {
    const source = open()[Symbol.asyncIterator]();
    watch.opened(source);
    try {
      for (;;) {
        watch.waitsForSource(true);
        const { value, done } = await source.next();
        watch.waitsForSource(false);
        if (done === true) break;
        broughtBytes += value.length;
        if (broughtBytes > sizeBytes) throw wrongLength(broughtBytes, sizeBytes);
        // undici would take an empty piece for the end.
        if (value.length === 0) continue;
        let piece = value;
        if (watch.careful && value.length > 1) {
          watch.careful = false;
          yield value.subarray(0, 1);
          piece = value.subarray(1);
        }
        // What is sent to a server that has answered and closed its side costs its answer.
        for (let hold = watch.hold(); hold !== undefined; hold = watch.hold()) await hold;
        yield piece;
        watch.moved();
      }
    } finally {
      await source.return?.();
    }
    if (broughtBytes !== sizeBytes) throw wrongLength(broughtBytes, sizeBytes);
  } catch (error) {
    watch.failed(error);
    throw error;
  }
  watch.sent();
}

function wrongLength(broughtBytes: number, sizeBytes: number): MusterError {
  const than = broughtBytes > sizeBytes ? 'more' : 'less';
  return new MusterError(
    'OBJECT_CHANGED',
    `the source brought ${broughtBytes} bytes, ${than} than the ${sizeBytes} announced`,
  );
}
