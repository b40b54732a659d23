import { noLooksYet, recordLook, viewOf, type ProbeHistory, type ProbeView } from './probe-history.ts';

export type { ProbeView } from './probe-history.ts';

/** Looks at one thing again and again. Each look has its own deadline, so that a silent host is as plain as a dead one. */
export interface ProberOptions {
  everyMs: number;
  /** Deadline of one look. */
  limitMs: number;
  /** One look; anything thrown means down. The signal ends with the deadline, and so must the look: it keeps its place until it ends. */
  look(signal: AbortSignal): Promise<void>;
  onChange?: (view: ProbeView) => void;
  /** Monotonic milliseconds; for tests. */
  now?: () => number;
}

export interface Prober {
  view(): ProbeView;
  stop(): void;
}

const mostAtOnce = 3;
/** A look that took this many times its limit failed because the observer itself did not run; it says nothing. */
const stalledFactor = 2;

/** Starts a look every `everyMs`; a slow one does not hold up the next, but no more than three are out. */
export function startProber(options: ProberOptions): Prober {
  const { look, limitMs, everyMs, onChange } = options;
  const now = options.now ?? (() => performance.now());
  let history: ProbeHistory = noLooksYet(now());
  let out = 0;
  let ended = false;

  const record = (startedMs: number, failure: unknown): void => {
    if (ended || (failure !== null && now() - startedMs > limitMs * stalledFactor)) return;
    const wasUp = history.firstFailedMs === null;
    const seen = failure === null ? { ok: true as const } : { ok: false as const, why: messageOf(failure) };
    history = recordLook(history, { startedMs, ...seen });
    if (wasUp !== (history.firstFailedMs === null)) onChange?.(viewOf(history, now()));
  };
  const start = (): void => {
    if (out >= mostAtOnce) return;
    out += 1;
    const startedMs = now();
    const signal = AbortSignal.timeout(limitMs);
    const looking = (async () => look(signal))();
    const settled = looking.then(
      () => null,
      (err: unknown) => err ?? 'failed',
    );
    void settled.then(() => (out -= 1));
    void Promise.race([settled, deadline(signal, limitMs)]).then((failure) => record(startedMs, failure));
  };
  const timer = setInterval(start, everyMs);
  start();
  return {
    view: () => viewOf(history, now()),
    stop: () => {
      ended = true;
      clearInterval(timer);
    },
  };
}

function deadline(signal: AbortSignal, limitMs: number): Promise<Error> {
  const late = new Error(`no answer in ${limitMs} ms`);
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(late), { once: true }));
}

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}
