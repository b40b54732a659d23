/** So far back the rate looks: long enough to be calm, short enough to follow. */
const windowMs = 15_000;
/** Before this much was seen there is no rate worth a promise. */
const leastMs = 3_000;

/** What can be said of work under way. Whatever is not known is null, and is not shown. */
export interface Pace {
  bytesPerSecond: number | null;
  secondsLeft: number | null;
}

/** Watches a number of bytes grow, and says how fast, and how long the rest takes where its size is known. */
export class Meter {
  #samples: { atMs: number; bytes: number }[] = [];

  /** @param totalBytes null where nobody knows it */
  pace(atMs: number, bytes: number, totalBytes: number | null): Pace {
    this.#samples.push({ atMs, bytes });
    while (this.#samples.length > 2 && (this.#samples[1]?.atMs ?? atMs) <= atMs - windowMs) this.#samples.shift();
    const first = this.#samples[0] ?? { atMs, bytes };
    const spanMs = atMs - first.atMs;
    // What stands still has no pace and no end in sight.
    if (spanMs < leastMs || bytes <= first.bytes) return { bytesPerSecond: null, secondsLeft: null };
    const bytesPerSecond = ((bytes - first.bytes) * 1_000) / spanMs;
    const left = totalBytes === null ? null : totalBytes - bytes;
    // What is past its total was measured by a wrong one.
    const secondsLeft = left === null || left < 0 ? null : left / bytesPerSecond;
    return { bytesPerSecond, secondsLeft };
  }
}
