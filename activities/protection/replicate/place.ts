/** One attempt at a time works on a directory: a later one ends the one before, which may not know that it lost its turn. */
export interface Place extends AsyncDisposable {
  /** The attempt's own signal, and the end by a later one. */
  signal: AbortSignal;
}

const taken = new Map<string, { stop: AbortController; ended: Promise<void> }>();

export async function takePlace(directory: string, signal: AbortSignal): Promise<Place> {
  for (let other = taken.get(directory); other !== undefined; other = taken.get(directory)) {
    other.stop.abort(new Error('a later attempt has taken over'));
    await other.ended;
    signal.throwIfAborted();
  }
  const stop = new AbortController();
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => (end = resolve));
  taken.set(directory, { stop, ended });
  return {
    signal: AbortSignal.any([stop.signal, signal]),
    [Symbol.asyncDispose]() {
      taken.delete(directory);
      end();
      return Promise.resolve();
    },
  };
}
