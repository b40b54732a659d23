import { setTimeout as sleep } from 'node:timers/promises';
import { type Keyring } from '../credentials.ts';
import { type Dialect, type Headers } from '../dialect/dialect.ts';
import { mayRenewKeys, ObjectStoreError } from '../failure.ts';
import { type ObjectCredentials, type ObjectLimits, type ObjectPlace } from '../place.ts';
import { emptySha256, sha256, unsignedPayload } from '../signing/family.ts';
import { type RequestSigner } from '../signing/requests.ts';
import { encodeKey, type Query, queryText } from '../signing/text.ts';
import { type CallOptions, type PutBody, type StreamBody } from '../types.ts';
import { XmlDamaged } from '../xml/reader.ts';
import { type CallName, nameOf, pauseMs, refusalError } from './refusal.ts';
import { ExchangeLost, type Incoming, type Outgoing } from './exchange.ts';
import { type Transport } from './transport.ts';

/** One call as the dialects' common code states it. */
export interface Call {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Left out: the bucket itself. */
  key?: string;
  query?: Query;
  /** Lower-case names; values byte for byte (Latin-1). */
  headers?: Record<string, string>;
  body?: PutBody;
  /** Of the body, hex, where it is known: signed over http. */
  bodySha256?: string | undefined;
}

export interface AnsweredCall {
  status: number;
  headers: Headers;
  bytes: Buffer;
}

/** Sends calls to one bucket: signs, tries again what may be tried again, and turns refusals into errors. */
export interface Caller {
  /** `take` reads what it needs of a good answer; where it fails because the body broke off, the call is repeated. */
  call<T>(call: Call, options: CallOptions | undefined, take: (answer: Incoming) => Promise<T>): Promise<T>;
  /** The whole answer. */
  answered(call: Call, options: CallOptions | undefined): Promise<AnsweredCall>;
  /** An error for an answer that calls itself a success and is none. */
  refused(call: Call, answer: AnsweredCall): ObjectStoreError;
}

export interface CallerDeps {
  place: ObjectPlace;
  dialect: Dialect;
  limits: Required<ObjectLimits>;
  keyring: Keyring;
  transport: Transport;
  /** Empty: the calls are about the account. */
  bucket: string;
  /** Host and port that is spoken to. */
  host: string;
  signer: RequestSigner;
  nowMs: () => number;
}

/** A damaged body is sent again once: twice damaged, the fault is no accident of the way. */
const mostDamaged = 2;

export function createCaller(deps: CallerDeps): Caller {
  const self: Caller = {
    call(call, options, take) {
      // Without its key a call about an object would be one about its bucket: DELETE, for one.
      if (call.key === '') return Promise.reject(new ObjectStoreError('OBJECT_STORE_REFUSED', 'the key is empty', {}));
      return repeated(deps, call, options ?? {}, take);
    },
    answered: (call, options) => self.call(call, options, whole),
    refused: (call, answer) => refusalError(nameFor(deps, call), answer),
  };
  return self;
}

async function whole({ status, headers, body }: Incoming): Promise<AnsweredCall> {
  return { status, headers, bytes: await body.bytes() };
}

function nameFor({ bucket, host }: CallerDeps, { method, key }: Call): CallName {
  return { method, host, bucket: bucket === '' ? 'the account' : bucket, key };
}

/** What the tries of one call have come to so far. */
interface Progress {
  tries: number;
  damaged: number;
  /** Some try may have had its effect. */
  mayHaveHappened: boolean;
  renewed: number;
  startedAtMs: number;
  bodyMs: number;
  /** A body that cannot be begun again was begun. */
  spent: boolean;
  /** The server broke off while the body was sent, as one does that refuses and does not want it. */
  careful: boolean;
}

async function repeated<T>(
  deps: CallerDeps,
  call: Call,
  options: CallOptions,
  take: (answer: Incoming) => Promise<T>,
): Promise<T> {
  const progress: Progress = {
    tries: 0,
    damaged: 0,
    mayHaveHappened: false,
    renewed: 0,
    startedAtMs: performance.now(),
    bodyMs: 0,
    spent: false,
    careful: false,
  };
  const deadlineMs = options.deadlineMs ?? deps.limits.deadlineMs;
  for (;;) {
    const leftMs = deadlineMs - (performance.now() - progress.startedAtMs - progress.bodyMs);
    const known = deps.keyring.current();
    const credentials = known instanceof Promise ? await known : known;
    progress.tries += 1;
    try {
      const answer = await deps.transport.send(outgoingOf(deps, call, { credentials, progress, options, leftMs }));
      answer.body.explain = (error) => failureOf(deps, call, error) ?? error;
      if (answer.status < 300 && answer.status >= 200) return await take(answer);
      throw refusalError(nameFor(deps, call), { ...answer, bytes: await answer.body.bytes() });
    } catch (error) {
      const failure = failureOf(deps, call, error);
      if (error instanceof ExchangeLost) progress.careful = error.whileSending;
      if (failure === undefined || options.signal?.aborted === true) throw error;
      progress.mayHaveHappened ||= failure.mayHaveHappened;
      const pause = await whenAgain(deps, { failure, progress, credentials, leftMs });
      if (pause === undefined) throw settled(failure, progress);
      if (pause > 0) await sleep(pause, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

/** Undefined: nothing of ours, a source's failure for one, and not to be touched. */
function failureOf(deps: CallerDeps, call: Call, error: unknown): ObjectStoreError | undefined {
  if (error instanceof ObjectStoreError) return error;
  const named = nameOf(nameFor(deps, call));
  if (error instanceof ExchangeLost) {
    const facts = { mayHaveHappened: error.sent };
    return new ObjectStoreError('OBJECT_STORE_UNREACHABLE', `${named}: ${error.message}`, facts, { cause: error });
  }
  if (error instanceof XmlDamaged) {
    const message = `${named}: the answer is not what an object store says: ${error.message}`;
    return new ObjectStoreError('OBJECT_STORE_UNREACHABLE', message, { mayHaveHappened: true }, { cause: error });
  }
  return undefined;
}

/** After what pause to try again, milliseconds; undefined: not again. */
async function whenAgain(
  { limits, keyring }: CallerDeps,
  now: { failure: ObjectStoreError; progress: Progress; credentials: ObjectCredentials; leftMs: number },
): Promise<number | undefined> {
  const { failure, progress } = now;
  if (progress.spent || progress.tries >= limits.tries) return undefined;
  if (mayRenewKeys(failure)) {
    progress.renewed += 1;
    return progress.renewed <= 2 && (await keyring.refused(now.credentials)) ? 0 : undefined;
  }
  if (failure.code === 'CHECKSUM_MISMATCH') progress.damaged += 1;
  if (!isWorthAgain(failure, progress)) return undefined;
  const pause = pauseMs(failure, progress.tries);
  return pause < now.leftMs ? pause : undefined;
}

function isWorthAgain({ code, serverCode }: ObjectStoreError, { damaged }: Progress): boolean {
  if (code === 'OBJECT_STORE_UNREACHABLE') return true;
  if (code === 'CHECKSUM_MISMATCH') return damaged < mostDamaged && serverCode !== 'InvalidPart';
  // Two writers met; who won is seen the next time ("Conditional writes": retry on 409).
  return serverCode === 'ConditionalRequestConflict' || serverCode === 'OperationAborted';
}

/** The last failure with what is known of all tries. */
function settled(failure: ObjectStoreError, { tries, mayHaveHappened }: Progress): ObjectStoreError {
  if (tries === 1 && failure.mayHaveHappened === mayHaveHappened) return failure;
  const { code, message, serverCode, status, requestId, retryAfterMs } = failure;
  const counted = tries === 1 ? message : `${message} (after ${tries} tries)`;
  const facts = { serverCode, status, requestId, mayHaveHappened, retryAfterMs };
  return new ObjectStoreError(code, counted, facts, { cause: failure.cause ?? failure });
}

function outgoingOf(
  deps: CallerDeps,
  call: Call,
  now: { credentials: ObjectCredentials; progress: Progress; options: CallOptions; leftMs: number },
): Outgoing {
  const { place, dialect, bucket, signer } = deps;
  const { progress } = now;
  const headers = { ...call.headers };
  const query = queryText(call.query, dialect.bareQuery);
  const path = pathOf(deps, call.key);
  const inHost = bucket !== '' && place.addressing === 'virtual-host';
  const signed = inHost && dialect.signsBucketInPath ? `/${bucket}${path}` : path;
  const payloadHash = payloadHashOf(place, call);
  signer({ method: call.method, path: signed, query, headers, payloadHash }, now.credentials, deps.nowMs());
  return {
    method: call.method,
    path: query === '' ? path : `${path}?${query}`,
    headers,
    body: call.body === undefined || call.body instanceof Uint8Array ? call.body : once(call.body, progress),
    signal: now.options.signal,
    timeoutMs: Math.max(1, now.leftMs),
    careful: progress.careful,
    onBodyTime: (ms) => {
      progress.bodyMs += ms;
    },
  };
}

function pathOf({ bucket, place, dialect }: CallerDeps, key: string | undefined): string {
  if (bucket === '') return '/';
  if (place.addressing === 'virtual-host') return key === undefined ? '/' : `/${encodeKey(key)}`;
  if (key === undefined) return dialect.bucketPath(bucket);
  return `/${bucket}/${encodeKey(key)}`;
}

function payloadHashOf(place: ObjectPlace, { body, bodySha256 }: Call): string {
  if (!(place.signPayload ?? place.endpoint.startsWith('http:'))) return unsignedPayload;
  if (body === undefined) return emptySha256;
  if (bodySha256 !== undefined) return bodySha256;
  return body instanceof Uint8Array ? sha256(body) : unsignedPayload;
}

/** Notes that a body which cannot be begun again has been. */
function once(body: StreamBody, progress: Progress): StreamBody {
  if (body.once !== true) return body;
  return {
    ...body,
    open: () => {
      progress.spent = true;
      return body.open();
    },
  };
}
