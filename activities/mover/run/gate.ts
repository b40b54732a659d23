/** Holds work up while somebody wants it to pause. */
export interface Gate {
  pause(why: string): void;
  resume(): void;
  /** Why it is shut; undefined while it is open. */
  readonly why: string | undefined;
  /** Undefined while it is open. */
  passed(): Promise<void> | undefined;
}

export function createGate(): Gate {
  let why: string | undefined;
  let open: Promise<void> | undefined;
  let release: () => void = () => {};
  return {
    pause(reason) {
      why = reason;
      open ??= new Promise((resolve) => {
        release = resolve;
      });
    },
    resume() {
      why = undefined;
      open = undefined;
      release();
    },
    get why() {
      return why;
    },
    passed: () => open,
  };
}
