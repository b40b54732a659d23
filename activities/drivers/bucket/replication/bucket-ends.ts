import { MusterError, toMusterError } from '../../../../workflows/engine/errors.ts';
import type { PlanResource } from '../../../../workflows/engine/plan.ts';
import { bucketSite, type BucketSite } from '../config.ts';
import { openNodeLog, type NodeLog } from '../../../mover/changes/node-log.ts';
import type { Side } from '../../../mover/side.ts';
import { openObjects } from '../../../objects/open.ts';
import type { ObjectLimits, ObjectPlace } from '../../../objects/place.ts';
import type { ObjectClient } from '../../../objects/types.ts';
import { placesOf } from '../place.ts';

/** A dead site is noticed by its silence: nothing here waits for it long. */
const limits: ObjectLimits = { connectMs: 1_000, answerMs: 4_000, stallMs: 10_000, tries: 2, deadlineMs: 10_000 };

/** Both ends of a replication, as this process reaches them. */
export interface BucketEnds extends AsyncDisposable {
  from: BucketSite;
  to: BucketSite;
  source: Side;
  target: Side;
  log: NodeLog;
}

/** Nothing is sent yet. @throws MusterError CONFIG_INVALID, SITE_UNKNOWN, SECRET_MISSING */
export function openBucketEnds(resource: PlanResource, { from, to }: { from: string; to: string }): BucketEnds {
  const places = (site: string): ObjectPlace[] => placesOf(resource, site, limits);
  const source = rovingClient(places(from));
  const target = rovingClient(places(to));
  const log = rovingLog(places(from));
  return {
    ...{ from: bucketSite(resource, from), to: bucketSite(resource, to), log },
    source: { client: source, prefix: '' },
    target: { client: target, prefix: '' },
    async [Symbol.asyncDispose]() {
      await Promise.all([source, target, log].map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

/** Which of several nodes is asked: the next one as soon as one did not answer. */
function rota(nodes: number): { at(): number; failed(node: number): void } {
  let current = 0;
  return {
    at: () => current,
    failed(node) {
      if (node === current) current = (current + 1) % nodes;
    },
  };
}

const isSilence = (err: unknown): boolean => err instanceof MusterError && err.code === 'OBJECT_STORE_UNREACHABLE';

/** One client of a cluster whose every node serves every request: a node that fails costs one call, not the rest. */
function rovingClient(places: readonly ObjectPlace[]): ObjectClient {
  const clients = places.map((place) => openObjects(place));
  const turn = rota(clients.length);
  const first = clients[0]!;
  return new Proxy(first, {
    get(_, name) {
      if (name === Symbol.asyncDispose)
        return async () => void (await Promise.all(clients.map((client) => client[Symbol.asyncDispose]())));
      const value: unknown = Reflect.get(first, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const node = turn.at();
        const client = clients[node]!;
        try {
          return await (Reflect.get(client, name) as (...given: unknown[]) => Promise<unknown>).apply(client, args);
        } catch (err) {
          if (isSilence(err)) turn.failed(node);
          throw err;
        }
      };
    },
  });
}

/** How long a node may take for a page beyond what it was asked to wait, milliseconds. */
const pageMs = 3_000;

function rovingLog(places: readonly ObjectPlace[]): NodeLog {
  const logs = places.map((place) => {
    const { accessKeyId, secretAccessKey } = (
      place.credentials as { credentials: { accessKeyId: string; secretAccessKey: string } }
    ).credentials;
    return openNodeLog(place, () => Promise.resolve({ accessKeyId, secretAccessKey }));
  });
  const turn = rota(logs.length);
  return {
    async read(from) {
      const node = turn.at();
      const late = AbortSignal.timeout((from.waitSeconds ?? 0) * 1_000 + pageMs);
      const signal = from.signal === undefined ? late : AbortSignal.any([late, from.signal]);
      try {
        return await logs[node]!.read({ ...from, signal });
      } catch (err) {
        from.signal?.throwIfAborted();
        turn.failed(node);
        if (isSilence(err)) throw err;
        const why = toMusterError(err).message;
        throw new MusterError('OBJECT_STORE_UNREACHABLE', `the change log of ${places[node]!.bucket}: ${why}`);
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(logs.map((log) => log[Symbol.asyncDispose]()));
    },
  };
}
