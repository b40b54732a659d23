import { type ServerResponse } from 'node:http';
import { type ByteTarget } from '../../object/model.ts';

/** An answer's body as something an opened object writes to. */
export interface ResponseTarget extends ByteTarget {
  /** Bytes given to the socket so far. */
  readonly sentBytes: number;
}

/**
 * Writes to `response`; `begin` is called before the first byte and writes the head, so that a failure before it can
 * still be answered as an error. Memory is given back when the socket is done with it, also when the client goes away.
 */
export function responseTarget(response: ServerResponse, begin: () => void): ResponseTarget {
  let sentBytes = 0;
  let closed = response.destroyed;
  let wake: (() => void) | undefined;
  const held = new Set<() => void>();
  const awaken = (): void => {
    wake?.();
    wake = undefined;
  };
  response.on('drain', awaken);
  response.once('close', () => {
    closed = true;
    for (const release of held) release();
    held.clear();
    awaken();
  });
  return {
    get sentBytes() {
      return sentBytes;
    },
    get closed() {
      return closed;
    },
    write(chunk, release) {
      if (closed) {
        release();
        return true;
      }
      if (sentBytes === 0) begin();
      sentBytes += chunk.length;
      // Of its own for each chunk: two chunks may come with the same `release`, and each counts.
      const once = (): void => release();
      held.add(once);
      return response.write(chunk, () => {
        if (held.delete(once)) once();
      });
    },
    drained() {
      if (closed || !response.writableNeedDrain) return Promise.resolve();
      return new Promise((resolve) => {
        wake = resolve;
      });
    },
  };
}
