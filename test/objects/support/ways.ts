import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before } from 'node:test';
import { ObjectStoreError } from '../../../activities/objects/failure.ts';
import { openObjects } from '../../../activities/objects/open.ts';
import { type ObjectLimits, type ObjectPlace } from '../../../activities/objects/place.ts';
import { type ObjectClient } from '../../../activities/objects/types.ts';
import { account, startCluster, type TestCluster } from '../../storage/support/dev-cluster.ts';
import { type Front, startFront } from './front.ts';
import { type Relay, startRelay } from './relay.ts';

/** What lies between client and cluster. */
export interface Ways {
  relay: Relay;
  front: Front;
}

export const keys = { accessKeyId: account.user, secretAccessKey: account.password };
export const kilobyte = 1024;

/** A cluster for the tests of a file, with a relay before one node and a front before another. */
export function withWays(): Ways {
  let cluster: TestCluster;
  const ways = {} as Ways;
  before(async () => {
    cluster = await startCluster();
    ways.relay = await startRelay(cluster.cluster.endpoints[0]!);
    ways.front = await startFront(cluster.cluster.endpoints[1]!);
  });
  after(async () => {
    await ways.relay[Symbol.asyncDispose]();
    await ways.front[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });
  return ways;
}

export function placeAt(
  endpoint: string,
  limits: ObjectLimits = {},
  dialect: ObjectPlace['dialect'] = 's3',
): ObjectPlace {
  return {
    ...{ dialect, bucket: 'faults', prefix: '', region: 'us-east-1', addressing: 'path', endpoint, limits },
    credentials: { kind: 'fixed', credentials: keys },
  };
}

/** A bucket of its own, and a client that reaches it through the relay or the front. */
export async function through(
  { relay, front }: Ways,
  way: keyof Ways,
  limits?: ObjectLimits,
  dialect?: ObjectPlace['dialect'],
): Promise<ObjectClient> {
  relay.faults = {};
  front.script = () => undefined;
  front.seen = [];
  const endpoint = way === 'relay' ? relay.endpoint : front.endpoint;
  const client = openObjects({ ...placeAt(endpoint, limits, dialect), bucket: `f-${randomUUID().slice(0, 18)}` });
  await client.createBucket();
  front.seen = [];
  return client;
}

export function failsWith(
  code: string,
  message: RegExp,
  facts: Partial<ObjectStoreError> = {},
): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ObjectStoreError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    for (const [name, value] of Object.entries(facts)) assert.equal(error[name as keyof ObjectStoreError], value, name);
    return true;
  };
}
