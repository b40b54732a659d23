import { Agent, type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as SecureAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { presign } from './presign.ts';
import { type Target } from './targets.ts';

/** One request; `endpoint` by its number. */
export interface Asked {
  method: 'GET' | 'PUT';
  endpoint: number;
  key: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
  keepBody?: boolean;
}

export interface Answer {
  status: number;
  /** From the request being sent to the last byte of its answer. */
  ms: number;
  bytes: number;
  headers: IncomingHttpHeaders;
  /** Empty unless it was to be kept, or the answer is an error. */
  body: Buffer;
}

/** Sends requests over connections that are kept, as many at the same time as it is told to. */
export interface Client {
  /** @throws when no whole answer comes within a minute */
  ask(asked: Asked): Promise<Answer>;
  /** The same. @throws also when the status is none of these */
  must(asked: Asked, statuses?: readonly number[]): Promise<Answer>;
  close(): void;
}

const answerWithinMs = 60_000;

export function createClient(target: Target): Client {
  const agent = target.tls
    ? new SecureAgent({ keepAlive: true, rejectUnauthorized: false })
    : new Agent({ keepAlive: true });
  const request = target.tls ? httpsRequest : httpRequest;
  const ask = (asked: Asked): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const endpoint = target.endpoints[asked.endpoint]!;
      const signed = presign(target, { method: asked.method, endpoint, key: asked.key });
      const length = asked.body === undefined ? {} : { 'content-length': String(asked.body.length) };
      const sentAt = performance.now();
      const sent = request(endpoint + signed, {
        agent,
        method: asked.method,
        headers: { ...asked.headers, ...length },
      });
      const late = setTimeout(
        () => sent.destroy(new Error(`${asked.method} ${asked.key}: no answer in time`)),
        answerWithinMs,
      );
      const failed = (error: Error): void => {
        clearTimeout(late);
        reject(error);
      };
      sent.on('error', failed).on('response', (answer: IncomingMessage) => {
        const status = answer.statusCode ?? 0;
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer
          .on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            if (asked.keepBody === true || status >= 400) chunks.push(chunk);
          })
          .on('error', failed)
          .on('end', () => {
            clearTimeout(late);
            const { headers } = answer;
            resolve({ status, ms: performance.now() - sentAt, bytes, headers, body: Buffer.concat(chunks) });
          });
      });
      sent.end(asked.body);
    });
  return {
    ask,
    async must(asked, statuses = [200, 204, 206]) {
      const answer = await ask(asked);
      if (!statuses.includes(answer.status))
        throw new Error(`${asked.method} ${asked.key}: ${answer.status} ${answer.body.toString().slice(0, 300)}`);
      return answer;
    },
    close: () => agent.destroy(),
  };
}

/** Does something for each number below `count`, so many at the same time. */
export async function inLanes(count: number, lanes: number, one: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, lane));
}

export interface Sample {
  /** Since the load began. */
  sentAtMs: number;
  ms: number;
  /** Undefined when all was well. */
  failed: string | undefined;
}

/**
 * Sends requests at a fixed rate whether or not those before were answered: who waits is counted, and nobody waits
 * because another does. Latency counts from the sending; the sender's own lateness is not part of it.
 */
export async function openLoad(load: {
  perSecond: number;
  seconds: number;
  /** @returns why the answer is wrong */
  one: (i: number) => Promise<string | undefined>;
}): Promise<Sample[]> {
  const beganAt = performance.now();
  const samples: Promise<Sample>[] = [];
  const count = Math.round(load.perSecond * load.seconds);
  for (let i = 0; i < count; i++) {
    const waitMs = beganAt + (i * 1_000) / load.perSecond - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const sentAt = performance.now();
    const sample = (failed: string | undefined): Sample => ({
      ...{ sentAtMs: sentAt - beganAt, ms: performance.now() - sentAt, failed },
    });
    samples.push(load.one(i).then(sample, (error: unknown) => sample(String(error))));
  }
  return Promise.all(samples);
}

export interface Latencies {
  requests: number;
  failed: number;
  /** Why the first of them failed. */
  why: string | undefined;
  p50Ms: number;
  p99Ms: number;
  worstMs: number;
}

export function latenciesOf(samples: readonly Sample[]): Latencies {
  const good = samples.filter(({ failed }) => failed === undefined).map(({ ms }) => ms);
  const sorted = good.sort((a, b) => a - b);
  const rank = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  const why = samples.find(({ failed }) => failed !== undefined)?.failed;
  return {
    ...{ requests: samples.length, failed: samples.length - good.length, why },
    ...{ p50Ms: rank(0.5), p99Ms: rank(0.99), worstMs: rank(1) },
  };
}

/** Milliseconds as a table shows them. */
export function msText(ms: number): string {
  return Number.isNaN(ms) ? '-' : ms.toFixed(ms < 100 ? 1 : 0);
}
