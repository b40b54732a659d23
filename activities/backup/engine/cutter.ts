import type { Chunker } from '../kernels/chunker.ts';

/**
 * Cuts a stream of bytes into pieces. The reader fills `free` and tells how much; complete pieces are handed over at
 * once, as views that are good until the next call.
 */
export interface Cutter {
  /** Forgets the stream before. */
  begin(): void;
  /** Room to read into; never empty. */
  readonly free: Uint8Array;
  /** That many bytes of `free` were filled. */
  take(count: number, piece: (bytes: Uint8Array) => void): void;
  /** Hands over what is left. An empty stream has no pieces. */
  end(piece: (bytes: Uint8Array) => void): void;
}

/**
 * @param window the memory of the chunker: at least twice its largest piece
 */
export function createCutter(chunker: Chunker, window: Uint8Array): Cutter {
  let [start, end] = [0, 0];
  return {
    begin() {
      [start, end] = [0, 0];
      chunker.reset();
    },
    get free() {
      return window.subarray(end);
    },
    take(count, piece) {
      end += count;
      for (;;) {
        const length = chunker.next(window, start, end);
        if (length === 0) break;
        piece(window.subarray(start, start + length));
        start += length;
      }
      if (start === 0 && end < window.length) return;
      // The beginning of the next piece moves to the front: at most one piece, for many that were read.
      window.copyWithin(0, start, end);
      end -= start;
      start = 0;
    },
    end(piece) {
      if (end > start) piece(window.subarray(start, end));
      [start, end] = [0, 0];
    },
  };
}
