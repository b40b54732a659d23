/** How much may be under way at once, by weight; first come, first served. */
export interface Lanes {
  /** Resolves with a way to give it back, which may be called again and then does nothing. */
  take(weight: number): Promise<() => void>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
  readonly taken: number;
}

export function createLanes(width: number): Lanes {
  let taken = 0;
  const queue: { weight: number; start: () => void }[] = [];
  let waiters: (() => void)[] = [];
  const give = (weight: number) => {
    let given = false;
    return (): void => {
      if (given) return;
      given = true;
      takeBack(weight);
    };
  };
  const takeBack = (weight: number): void => {
    taken -= weight;
    for (let next = queue[0]; next !== undefined && taken + next.weight <= width; [next] = queue) {
      queue.shift();
      taken += next.weight;
      next.start();
    }
    if (taken > 0) return;
    const all = waiters;
    waiters = [];
    for (const wake of all) wake();
  };
  return {
    take(asked) {
      const weight = Math.min(asked, width);
      if (queue.length === 0 && taken + weight <= width) {
        taken += weight;
        return Promise.resolve(give(weight));
      }
      return new Promise((resolve) => queue.push({ weight, start: () => resolve(give(weight)) }));
    },
    idle: () => (taken === 0 ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
    get taken() {
      return taken;
    },
  };
}

const mebibyte = 1024 * 1024;

/** Small objects go many at once, large ones few: a lane for each 4 MiB, at most eight. */
export function weightOf(sizeBytes: number): number {
  return Math.min(8, 1 + Math.floor(sizeBytes / (4 * mebibyte)));
}
