/** What a long-running program prints first on stdout, one JSON line, when it serves. */
export function announceReady(fields: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid, ...fields })}\n`);
}

/** Runs the given clean-ups, last first, at SIGTERM or SIGINT, then ends. One that fails does not keep the others. */
export function onShutdown(cleanUps: (() => Promise<unknown>)[]): void {
  let ending = false;
  const end = async (): Promise<void> => {
    if (ending) return;
    ending = true;
    for (const cleanUp of cleanUps.toReversed()) await cleanUp().catch(() => undefined);
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
}
