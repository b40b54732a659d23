import { type Clock, type Timer } from '../ports.ts';
import { type DriveHandle } from '../store/set.ts';

/** One drive's answer to a question that went to many. */
export interface Answered<T> {
  drive: DriveHandle;
  value: T;
}

/** The answers so far. A drive that failed is in `failed`; one in neither has not spoken. */
export interface Answers<T> {
  answered: Answered<T>[];
  failed: DriveHandle[];
}

export interface CollectOptions<T> {
  clock: Clock;
  /** Called after each answer: true when it is known what the answers come to, whatever the others will say. */
  enough: (answers: Answers<T>) => boolean;
  /** How long to go on waiting, once enough, for drives that are not suspect. */
  graceMs: number;
  /** How long to wait at all. */
  deadlineMs: number;
  /** Answers that came after the collection was closed. */
  late?: (answer: Answered<T>) => void;
}

/**
 * Asks all the given drives at once and gathers their answers until there are enough of them. A drive that hangs is
 * waited for no longer than `graceMs` past that moment, a suspect one not at all. Never rejects.
 */
export function collect<T>(
  drives: readonly DriveHandle[],
  ask: (drive: DriveHandle) => Promise<T>,
  options: CollectOptions<T>,
): Promise<Answers<T>> {
  return new Promise((resolve) => {
    const answers: Answers<T> = { answered: [], failed: [] };
    let closed = false;
    let grace: Timer | undefined;
    const close = (): void => {
      if (closed) return;
      closed = true;
      deadline.cancel();
      grace?.cancel();
      resolve(answers);
    };
    const deadline = options.clock.setTimer(options.deadlineMs, close);
    const pending = new Set(drives);
    const look = (): void => {
      if (closed) return;
      if (pending.size === 0) return close();
      if (grace !== undefined || !options.enough(answers)) return;
      if (options.graceMs === 0 || onlySuspects(pending)) return close();
      grace = options.clock.setTimer(options.graceMs, close);
    };
    for (const drive of drives) {
      ask(drive).then(
        (value) => {
          if (closed) return options.late?.({ drive, value });
          pending.delete(drive);
          answers.answered.push({ drive, value });
          look();
        },
        () => {
          if (closed) return;
          pending.delete(drive);
          answers.failed.push(drive);
          look();
        },
      );
    }
    look();
  });
}

function onlySuspects(drives: ReadonlySet<DriveHandle>): boolean {
  for (const drive of drives) if (!drive.health.suspect) return false;
  return true;
}
