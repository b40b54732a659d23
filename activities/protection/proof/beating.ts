import type { ProtectionContext } from '../context.ts';

const everyMs = 5_000;

/** A context whose heartbeat goes on by itself: one query, or a scanner, may take hours in which nothing is told. */
export function keepBeating(context: ProtectionContext): Disposable & { context: ProtectionContext } {
  let last: unknown = { phase: 'preparing' };
  const heartbeat = (progress: unknown): void => {
    last = progress;
    context.heartbeat(progress);
  };
  const timer = setInterval(() => context.heartbeat(last), everyMs);
  return { context: { ...context, heartbeat }, [Symbol.dispose]: () => clearInterval(timer) };
}
