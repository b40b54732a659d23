/** How much of large objects has arrived before the objects have. */
export interface UnderWay {
  /** A part of the object is at the target: since now, or from an earlier run. */
  add(key: string, bytes: number, since: 'now' | 'before'): void;
  /** The object is done with, however it ended. @returns what was told of it, bytes */
  end(key: string): number;
  readonly bytes: number;
}

/** @param moved told of each part that was sent now, so that a rate can be known before the object is whole */
export function createUnderWay(moved: (bytes: number) => void): UnderWay {
  const arrived = new Map<string, number>();
  let sum = 0;
  return {
    add(key, bytes, since) {
      arrived.set(key, (arrived.get(key) ?? 0) + bytes);
      sum += bytes;
      if (since === 'now') moved(bytes);
    },
    end(key) {
      const bytes = arrived.get(key) ?? 0;
      arrived.delete(key);
      sum -= bytes;
      return bytes;
    },
    get bytes() {
      return sum;
    },
  };
}
