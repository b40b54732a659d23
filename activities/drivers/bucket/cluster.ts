import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request, type Dispatcher } from 'undici';
import { z } from 'zod';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { emptyHash, encodeS3, signRequest } from '../../s3/sign.ts';
import type { BucketSite } from './config.ts';

/** How long a call may take, and when it is given up. */
export interface Limit {
  timeoutMs: number;
  signal?: AbortSignal;
}

const siteView = z.object({
  epoch: z.int(),
  fenced: z.boolean(),
  leased: z.boolean(),
  /** Erasure sets whose drives confirm this by a write quorum, of how many. */
  confirmedSets: z.int(),
  sets: z.int(),
  /** The lease of the node that answered. */
  lease: z.object({ epoch: z.int(), remainingMs: z.number() }),
});
/** Who may write at a site, as its cluster says. */
export type SiteView = z.infer<typeof siteView>;

const leaseView = z.object({ epoch: z.int(), remainingMs: z.number() });

/** What one node said to a lease; `refused` is its own word, `silent` is none. */
export type LeaseAnswer =
  | { kind: 'held'; node: string; epoch: number; remainingMs: number }
  | { kind: 'refused'; node: string; why: string }
  | { kind: 'silent'; node: string; why: string };

interface Answer {
  status: number;
  text: string;
  headers: Record<string, string | string[] | undefined>;
}

const base = '/muster/admin/v1';
const agents = new Map<string | undefined, Agent>();

/** Connections are kept and shared, per authority that is trusted. */
function agentOf({ ca }: BucketSite): Dispatcher {
  const known = agents.get(ca);
  if (known !== undefined) return known;
  const connect = { timeout: 1_000, ...(ca === undefined ? {} : { ca }) };
  const agent = new Agent({ connect, keepAliveTimeout: 30_000, pipelining: 1 });
  agents.set(ca, agent);
  return agent;
}

interface Call {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  path: string;
  body?: Uint8Array;
  headers?: Record<string, string>;
}

/** One signed request to one node. Throws what undici throws. */
async function call(
  site: BucketSite,
  node: URL,
  { method, path, body, headers = {} }: Call,
  limit: Limit,
): Promise<Answer> {
  const url = new URL(path, node);
  const payloadHash = body === undefined ? emptyHash : createHash('sha256').update(body).digest('hex');
  const sent = signRequest({ method, url, headers, payloadHash }, site.credentials, new Date());
  const timeout = AbortSignal.timeout(Math.max(1, limit.timeoutMs));
  const answer = await request(url, {
    method,
    headers: sent,
    body: body ?? null,
    dispatcher: agentOf(site),
    signal: limit.signal === undefined ? timeout : AbortSignal.any([limit.signal, timeout]),
  });
  return { status: answer.statusCode, text: await answer.body.text(), headers: answer.headers };
}

/** A node that has not answered by then is asked no longer alone, milliseconds. */
const staggerMs = 100;

/** Asks node after node, the next as soon as one fails or takes its time; the first useful answer counts. */
async function anyNode(site: BucketSite, one: Call, limit: Limit): Promise<Answer> {
  const over = new AbortController();
  const signal = limit.signal === undefined ? over.signal : AbortSignal.any([limit.signal, over.signal]);
  const failures: string[] = [];
  let before = Promise.resolve();
  const asked = site.endpoints.map((node) => {
    const turn = before;
    const asking = turn.then(async () => {
      signal.throwIfAborted();
      const answer = await call(site, node, one, { timeoutMs: limit.timeoutMs, signal });
      if (answer.status >= 500) throw new Error(messageOf(answer));
      return answer;
    });
    asking.catch((err: unknown) => failures.push(`${node.host}: ${reasonOf(err)}`));
    const failed = asking.then(
      () => undefined,
      () => undefined,
    );
    before = turn.then(() => Promise.race([failed, sleep(staggerMs, undefined, { ref: false })]));
    return asking;
  });
  try {
    return await Promise.any(asked);
  } catch {
    throw new MusterError('STORAGE_UNREACHABLE', `the storage cluster of ${site.site}: ${failures.join('; ')}`);
  } finally {
    over.abort();
  }
}

/** @throws MusterError STORAGE_UNREACHABLE when no node can tell, CONFIG_INVALID when what answers is no such cluster */
export async function readSite(site: BucketSite, limit: Limit): Promise<SiteView> {
  return parse(site, siteView, await anyNode(site, { method: 'GET', path: `${base}/site` }, limit));
}

/**
 * Fences the site at an epoch, or opens it under leases. Node after node is asked, since the order may be repeated.
 * Resolves when a write quorum of every set has it. @throws MusterError EPOCH_STALE when the site is at a newer epoch,
 * STORAGE_UNREACHABLE when nobody confirms it: it may be in force all the same
 */
export async function setSite(
  site: BucketSite,
  state: { epoch: number; fenced: boolean },
  limit: Limit,
): Promise<void> {
  const verb = state.fenced ? 'fence' : 'unfence';
  const path = `${base}/${verb}?epoch=${state.epoch}${state.fenced ? '' : '&leased=true'}`;
  const answer = await anyNode(site, { method: 'POST', path }, limit);
  if (answer.status === 400)
    throw new MusterError('EPOCH_STALE', `${site.bucket} at ${site.site}: ${messageOf(answer)}`);
  parse(site, siteView.pick({ epoch: true, fenced: true, leased: true }), answer);
}

/**
 * Gives every node the lease for so long, 0 takes it back. `untilUnixMs` is its end for a node that hears of it late,
 * because it was frozen meanwhile. Waits for a majority, and shortly for the rest.
 * Never throws.
 */
export async function leaseNodes(
  site: BucketSite,
  lease: { epoch: number; forMs: number; untilUnixMs: number },
  limit: Limit & { graceMs?: number },
): Promise<LeaseAnswer[]> {
  const forMs = Math.max(0, Math.floor(lease.forMs));
  const path = `${base}/lease?epoch=${lease.epoch}&ms=${forMs}&until=${Math.max(0, Math.floor(lease.untilUnixMs))}`;
  const { graceMs = limit.timeoutMs } = limit;
  const answers: LeaseAnswer[] = site.endpoints.map(({ host }) => ({ kind: 'silent', node: host, why: 'no answer' }));
  let held = 0;
  await new Promise<void>((resolve) => {
    let open = site.endpoints.length;
    for (const [i, node] of site.endpoints.entries()) {
      void askLease(site, node, path, limit).then((answer) => {
        answers[i] = answer;
        open -= 1;
        held += answer.kind === 'held' ? 1 : 0;
        if (open === 0) resolve();
        else if (held * 2 > answers.length) setTimeout(resolve, graceMs);
      });
    }
  });
  return [...answers];
}

async function askLease(site: BucketSite, node: URL, path: string, limit: Limit): Promise<LeaseAnswer> {
  try {
    const answer = await call(site, node, { method: 'POST', path }, limit);
    if (answer.status >= 500) return { kind: 'silent', node: node.host, why: messageOf(answer) };
    if (answer.status !== 200) return { kind: 'refused', node: node.host, why: messageOf(answer) };
    return { kind: 'held', node: node.host, ...parse(site, leaseView, answer) };
  } catch (err) {
    return { kind: 'silent', node: node.host, why: reasonOf(err) };
  }
}

/** Writes, reads or removes one object; another node may be asked for the same, so it is said with every word. */
export async function objectCall(
  site: BucketSite,
  one: { method: 'GET' | 'PUT' | 'DELETE'; key: string; body?: Uint8Array },
  limit: Limit,
): Promise<{ status: number; text: string }> {
  const path = `/${site.bucket}/${encodeS3(one.key, true)}`;
  return anyNode(site, { ...one, path }, limit);
}

/** The next keys behind one, at most a thousand; none at the end. Keys with characters that XML escapes are not unescaped. */
export async function listKeys(site: BucketSite, after: string, limit: Limit): Promise<string[]> {
  const path = `/${site.bucket}?list-type=2&max-keys=1000&start-after=${encodeS3(after, false)}`;
  const answer = await anyNode(site, { method: 'GET', path }, limit);
  if (answer.status !== 200) throw refused(site, answer);
  return [...answer.text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key!);
}

/** Whether the bucket is there. @throws MusterError STORAGE_UNREACHABLE */
export async function bucketThere(site: BucketSite, limit: Limit): Promise<boolean> {
  const answer = await anyNode(site, { method: 'GET', path: `/${site.bucket}?list-type=2&max-keys=1` }, limit);
  if (answer.status === 200) return true;
  if (answer.status === 404) return false;
  throw refused(site, answer);
}

function parse<T>(site: BucketSite, schema: z.ZodType<T>, answer: Answer): T {
  if (answer.status !== 200) throw refused(site, answer);
  const body = schema.safeParse(jsonOf(answer.text));
  if (body.success) return body.data;
  throw new MusterError(
    'CONFIG_INVALID',
    `what answers for ${site.bucket} at ${site.site} is no storage cluster of Muster`,
  );
}

function refused(site: BucketSite, answer: Answer): MusterError {
  return new MusterError('CONFIG_INVALID', `${site.bucket} at ${site.site}: ${messageOf(answer)}`);
}

/** What a node says of a refusal: JSON of the administration, XML of S3. */
function messageOf({ status, text }: Answer): string {
  const json = z.object({ error: z.string(), message: z.string() }).safeParse(jsonOf(text));
  if (json.success) return `${json.data.error}: ${json.data.message}`;
  const [, code] = /<Code>([^<]+)<\/Code>/.exec(text) ?? [];
  const [, message] = /<Message>([^<]+)<\/Message>/.exec(text) ?? [];
  return code === undefined ? `status ${status}` : `${code}: ${message ?? ''}`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function reasonOf(err: unknown): string {
  const code = (err as NodeJS.ErrnoException).code;
  if (code !== undefined && code !== '') return code;
  return err instanceof Error && err.name === 'TimeoutError' ? 'no answer in time' : toMusterError(err).message;
}
