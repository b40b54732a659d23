/** Looks at one thing again and again. Each look has its own deadline, so that a silent host is as plain as a dead one. */

export interface ProberOptions {
  everyMs: number;
  /** Deadline of one look. */
  limitMs: number;
  /** One look; anything thrown means down. The signal ends with the deadline. */
  look(signal: AbortSignal): Promise<void>;
  onChange?: (view: ProbeView) => void;
  /** Monotonic milliseconds; for tests. */
  now?: () => number;
}

export interface ProbeView {
  up: boolean;
  /** Milliseconds since the last good look STARTED; 0 while up. */
  downForMs: number;
  /** Failed looks in a row. */
  failures: number;
  why: string;
}

export interface Prober {
  view(): ProbeView;
  stop(): void;
}

const mostAtOnce = 3;

/** Starts a look every `everyMs`; a slow one does not hold up the next, but no more than three are out. */
export function startProber(options: ProberOptions): Prober {
  const now = options.now ?? (() => performance.now());
  let lastGoodMs = now();
  let failures = 0;
  let why = '';
  let out = 0;
  let ended = false;

  const view = (): ProbeView => {
    const up = failures === 0;
    return { up, downForMs: up ? 0 : now() - lastGoodMs, failures, why };
  };
  const look = async (): Promise<void> => {
    if (out >= mostAtOnce) return;
    out += 1;
    const startedMs = now();
    const wasUp = failures === 0;
    try {
      await withDeadline(options);
      if (startedMs >= lastGoodMs) {
        lastGoodMs = startedMs;
        failures = 0;
        why = '';
      }
    } catch (err) {
      // A look that began before the last good one says nothing new.
      if (startedMs > lastGoodMs) {
        failures += 1;
        why = err instanceof Error ? err.message : String(err);
      }
    } finally {
      out -= 1;
    }
    if (wasUp !== (failures === 0) && !ended) options.onChange?.(view());
  };
  const timer = setInterval(() => void look(), options.everyMs);
  void look();
  return {
    view,
    stop: () => {
      ended = true;
      clearInterval(timer);
    },
  };
}

async function withDeadline({ look, limitMs }: ProberOptions): Promise<void> {
  const signal = AbortSignal.timeout(limitMs);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error(`no answer in ${limitMs} ms`)), { once: true });
  });
  await Promise.race([look(signal), late]);
}
