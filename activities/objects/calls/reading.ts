import { type Dialect } from '../dialect/dialect.ts';
import { ObjectStoreError } from '../failure.ts';
import { type Call, type Caller } from '../http/caller.ts';
import { type Incoming } from '../http/exchange.ts';
import { infoOf } from '../object-headers.ts';
import {
  type CallOptions,
  type GetOptions,
  type ObjectBody,
  type ObjectClient,
  type ObjectInfo,
  type ReadOptions,
} from '../types.ts';

type Reading = Pick<ObjectClient, 'head' | 'get' | 'getBytes'>;

export function readingCalls(caller: Caller, dialect: Dialect): Reading {
  const self: Reading = {
    async head(key, options, call) {
      try {
        const request = requestOf(dialect, 'HEAD', key, options);
        return await caller.call(request, call, ({ status, headers }) =>
          Promise.resolve(infoOf(dialect, key, { status, headers })),
        );
      } catch (error) {
        throw await explained(self, { error, key, options, call });
      }
    },
    get: (key, options, call) =>
      caller.call(requestOf(dialect, 'GET', key, options), call, (answer) =>
        Promise.resolve(bodyOf(infoOf(dialect, key, answer), answer)),
      ),
    getBytes: (key, options, call) =>
      caller.call(requestOf(dialect, 'GET', key, options), call, async (answer) => ({
        info: infoOf(dialect, key, answer),
        bytes: await answer.body.bytes(),
      })),
  };
  return self;
}

function requestOf(dialect: Dialect, method: 'GET' | 'HEAD', key: string, options: GetOptions | undefined): Call {
  const headers: Record<string, string> = { ...dialect.askForChecksums };
  if (options?.ifMatch !== undefined) headers['if-match'] = `"${options.ifMatch}"`;
  if (options?.range !== undefined) {
    headers['range'] = `bytes=${options.range.first}-${options.range.last ?? ''}`;
    // Without it OSS answers a range behind the end with the whole object ("Range behavior").
    if (dialect.name === 'oss') headers['x-oss-range-behavior'] = 'standard';
  }
  const call: Call = { method, key, headers };
  if (options?.versionId !== undefined) call.query = { versionId: options.versionId };
  return call;
}

function bodyOf(info: ObjectInfo, { headers, body }: Incoming): ObjectBody {
  return {
    info,
    lengthBytes: Number(headers['content-length'] ?? Number.NaN),
    cancel: () => body.cancel(),
    [Symbol.asyncIterator]: () => body,
  };
}

/** A refused HEAD has no words: the same asked as a GET of one byte says why. */
async function explained(
  reading: Reading,
  refused: { error: unknown; key: string; options: ReadOptions | undefined; call: CallOptions | undefined },
): Promise<unknown> {
  const { error, key, options, call } = refused;
  const silent = error instanceof ObjectStoreError && error.serverCode === '' && [400, 401, 403].includes(error.status);
  if (!silent) return error;
  try {
    const body = await reading.get(key, { ...options, range: { first: 0, last: 0 } }, call);
    body.cancel();
    return error;
  } catch (explanation) {
    return explanation instanceof ObjectStoreError && explanation.serverCode !== 'InvalidRange' ? explanation : error;
  }
}
