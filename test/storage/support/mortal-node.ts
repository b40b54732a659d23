import { type DriveApi, DriveUnavailable } from '../../../storage-node/store/drive-api.ts';

/** A node that can die between any two messages: what it would have sent or heard after that never happens. */
export interface Mortal {
  dead: boolean;
  /** Dies when it has sent this many more messages. */
  messagesLeft: number;
}

/** A drive as a mortal node reaches it, over a network that takes its time with each message. */
export function reachedBy(node: Mortal, drive: DriveApi, random: () => number): DriveApi {
  const spend = (): void => {
    node.messagesLeft -= 1;
    if (node.messagesLeft <= 0) node.dead = true;
    if (node.dead) throw new DriveUnavailable('this node is dead');
  };
  const pause = async (): Promise<void> => {
    for (let turns = Math.floor(random() * 6); turns > 0; turns--) await new Promise(setImmediate);
  };
  const call = async <T>(run: () => Promise<T>): Promise<T> => {
    spend();
    await pause();
    const answer = await run();
    await pause();
    if (node.dead) throw new DriveUnavailable('this node is dead');
    return answer;
  };
  const over: Partial<DriveApi> = {
    decide(requests) {
      if (node.dead) return;
      void pause().then(() => drive.decide(requests));
    },
    stage: (request) => drive.stage(request),
    pin: (ids) => drive.pin(ids),
  };
  return new Proxy(drive, {
    get(target, name) {
      const own = over[name as keyof DriveApi];
      if (own !== undefined) return own;
      const method = target[name as keyof DriveApi] as (...input: unknown[]) => Promise<unknown>;
      return (...input: unknown[]) => call(() => method.apply(target, input));
    },
  });
}
