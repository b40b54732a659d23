import { MusterError } from '../../../workflows/engine/errors.ts';
import { type ObjectClient } from '../../objects/types.ts';
import { type Limiter } from './limiter.ts';

export interface Governor {
  /** A turn for each call. */
  requests?: Limiter;
  /** Told of refused keys; resolves when they are good again, rejects when nobody waits for that any more. */
  refused?: (client: ObjectClient, err: MusterError) => Promise<void>;
}

/** Calls that are no requests of the run. */
const free: ReadonlySet<string> = new Set(['headBucket']);

/** The same client under a limit of requests, and patient when its keys have run out. */
export function governClient(client: ObjectClient, governor: Governor): ObjectClient {
  const made = new Map<string | symbol, unknown>();
  return new Proxy(client, {
    get(target, name) {
      const known = made.get(name);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function' || typeof name !== 'string' || free.has(name)) return value;
      const call = governed(client, value as (...args: unknown[]) => Promise<unknown>, governor);
      made.set(name, call);
      return call;
    },
  });
}

function governed(
  client: ObjectClient,
  call: (...args: unknown[]) => Promise<unknown>,
  { requests, refused }: Governor,
): (...args: unknown[]) => Promise<unknown> {
  return async (...args) => {
    for (let tries = 1; ; tries++) {
      const turn = requests?.(1);
      if (turn !== undefined) await turn;
      try {
        return await call.apply(client, args);
      } catch (err) {
        // A second refusal with keys that are good is about this one object.
        if (!(err instanceof MusterError) || err.code !== 'CREDENTIALS_REFUSED' || refused === undefined || tries > 1)
          throw err;
        await refused(client, err);
      }
    }
  };
}
