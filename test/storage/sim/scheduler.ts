import { type Timer } from '../../../storage-node/ports.ts';

/**
 * Virtual time. Things happen one after the other in the order of their moments, and between two of them everything
 * that promises have to do is done; so a run is the same each time, however fast the machine is.
 */
export interface Scheduler {
  /** Milliseconds since the world began. */
  nowMs(): number;
  /** Grows with each call: the order of what clients did and saw. */
  stamp(): number;
  after(delayMs: number, run: () => void): Timer;
  /** Lets things happen until `done`. @throws Error when nothing is left to happen, or the time is up. */
  runUntil(done: () => boolean, limitMs: number): Promise<void>;
  /** Notes something for the trace. */
  note(line: string): void;
  /** A number for everything noted so far: equal runs have equal ones. */
  readonly digest: number;
  /** Everything noted, when asked for. */
  readonly lines: readonly string[];
}

interface Moment {
  atMs: number;
  order: number;
  run: (() => void) | undefined;
}

export function createScheduler(options: { keepLines: boolean }): Scheduler {
  const heap: Moment[] = [];
  const lines: string[] = [];
  let nowMs = 0;
  let order = 0;
  let stamps = 0;
  let digest = 0x811c9dc5;
  return {
    nowMs: () => nowMs,
    stamp: () => ++stamps,
    after(delayMs, run) {
      const moment: Moment = { atMs: nowMs + Math.max(0, delayMs), order: order++, run };
      push(heap, moment);
      return {
        cancel() {
          moment.run = undefined;
        },
      };
    },
    async runUntil(done, limitMs) {
      const endMs = nowMs + limitMs;
      // What the caller has begun by itself comes first.
      await settled();
      while (!done()) {
        const moment = pop(heap);
        if (moment === undefined) throw new Error('nothing is left to happen, and it is not done');
        if (moment.run === undefined) continue;
        if (moment.atMs > endMs) {
          push(heap, moment);
          throw new Error(`not done after ${limitMs} ms`);
        }
        nowMs = moment.atMs;
        moment.run();
        await settled();
      }
    },
    note(line) {
      const text = `${nowMs.toFixed(3)} ${line}`;
      for (let i = 0; i < text.length; i++) digest = Math.imul(digest ^ text.charCodeAt(i), 0x01000193);
      if (options.keepLines) lines.push(text);
    },
    get digest() {
      return digest >>> 0;
    },
    lines,
  };
}

/** All microtasks run before the next immediate: promise chains that wait for nothing outside come to rest. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

const before = (a: Moment, b: Moment): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

function push(heap: Moment[], moment: Moment): void {
  let at = heap.length;
  heap.push(moment);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(moment, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = moment;
}

function pop(heap: Moment[]): Moment | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
    if (!before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return top;
}
