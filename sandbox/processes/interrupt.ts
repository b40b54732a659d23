/**
 * Ends a world in order on Ctrl-C, SIGTERM or a closed terminal, then exits with 130. A second Ctrl-C does not wait:
 * the reaper ends what is left.
 * @returns a function that takes the handlers off again
 */
export function endOnInterrupt(end: () => Promise<void>): () => void {
  let ending = false;
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const onSignal = () => {
    if (ending) process.exit(130);
    ending = true;
    void end().finally(() => process.exit(130));
  };
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}
