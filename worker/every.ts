/** Repeats work with a pause after each time; a failure is the work's own business and does not end it. */
export interface Repeating {
  stop(): Promise<void>;
}

export function every(
  pauseMs: number,
  work: () => Promise<void>,
  onError: (err: unknown) => void = () => {},
): Repeating {
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const round = async (): Promise<void> => {
    await work().catch(onError);
    if (!ended) timer = setTimeout(() => void round(), pauseMs);
  };
  timer = setTimeout(() => void round(), pauseMs);
  return {
    stop: async () => {
      ended = true;
      clearTimeout(timer);
    },
  };
}
