/** Writers of one key take turns; nobody waits for a writer of another. */
export interface Turns {
  busy(id: string): boolean;
  /** Resolves when the present writer is done; there may be another one then. */
  over(id: string): Promise<void>;
  /** The key is being written until the work has ended. Must not be busy. */
  hold<T>(id: string, work: Promise<T>): Promise<T>;
  /** Resolves when every write that is under way now has ended. */
  settled(): Promise<void>;
}

export function createTurns(): Turns {
  const running = new Map<string, Promise<void>>();
  return {
    busy: (id) => running.has(id),
    over: (id) => running.get(id) ?? Promise.resolve(),
    hold(id, work) {
      const over = (): void => {
        running.delete(id);
      };
      running.set(id, work.then(over, over));
      return work;
    },
    settled: async () => void (await Promise.all(running.values())),
  };
}
