import { countOf, formatBytes, formatClock } from '../format.ts';
import { Meter } from './meter.ts';
import type { Status } from './screen.ts';

/** How far work is. */
export interface Done {
  /** What is counted, in words: `1,204 files`. */
  what: string;
  bytes: number;
  /** null where nobody knows it. */
  totalBytes: number | null;
  problems: number;
  /** What the command tells programs besides. */
  fields: Record<string, unknown>;
}

/** Makes a line and fields of how far work is, how fast it goes and how long it takes; what is not known is left out. */
export class WorkStatus {
  readonly #meter = new Meter();
  readonly #beganMs = performance.now();

  of({ what, bytes, totalBytes, problems, fields }: Done): Status {
    const nowMs = performance.now();
    const seconds = (nowMs - this.#beganMs) / 1_000;
    const { bytesPerSecond, secondsLeft } = this.#meter.pace(nowMs, bytes, totalBytes);
    const share = totalBytes === null || totalBytes === 0 ? null : Math.min(1, bytes / totalBytes);
    const parts = [
      `[${formatClock(seconds)}]`,
      share === null ? null : `${Math.floor(share * 100)}%`,
      what,
      formatBytes(bytes) + (totalBytes === null ? '' : ` of ${formatBytes(totalBytes)}`),
      bytesPerSecond === null ? null : `${formatBytes(bytesPerSecond)}/s`,
      secondsLeft === null ? null : `ETA ${formatClock(secondsLeft)}`,
      problems === 0 ? null : countOf(problems, 'problem'),
    ];
    return {
      line: parts.filter((part) => part !== null).join('  '),
      fields: {
        seconds_elapsed: Math.floor(seconds),
        ...(share !== null && { percent_done: share }),
        ...(secondsLeft !== null && { seconds_remaining: Math.round(secondsLeft) }),
        ...(totalBytes !== null && { total_bytes: totalBytes }),
        ...fields,
        error_count: problems,
      },
    };
  }
}
