/** What the threads of an engine tell and are told while they work on one request: costs no messages. */
export interface Board {
  /** Bytes of files that were read, those of files under way among them. */
  readonly bytesRead: number;
  /** Whether what is under way is to be given up. */
  readonly stopped: boolean;
  /** Below 0 for a file that does not count after all. */
  addRead(bytes: number): void;
  stop(): void;
  /** Sharing it shares the board. */
  readonly buffer: SharedArrayBuffer;
}

const word = { bytesRead: 0, stopped: 1, count: 2 } as const;

/** @param buffer of a board of another thread; a new one without */
export function openBoard(buffer = new SharedArrayBuffer(word.count * 8)): Board {
  const words = new BigInt64Array(buffer);
  return {
    buffer,
    get bytesRead() {
      return Number(Atomics.load(words, word.bytesRead));
    },
    get stopped() {
      return Atomics.load(words, word.stopped) !== 0n;
    },
    addRead: (bytes) => void Atomics.add(words, word.bytesRead, BigInt(bytes)),
    stop: () => void Atomics.store(words, word.stopped, 1n),
  };
}
