import { Agent, request } from 'undici';
import { z } from 'zod';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { VerbContext, VerbInput } from '../../driver.ts';
import { proxyConfig } from './config.ts';

/** One call waits no longer than this, milliseconds: the entry answers from memory. */
const callMs = 1000;

const state = z.object({
  epoch: z.int(),
  mode: z.enum(['open', 'hold', 'closed']),
  route: z.string().nullable(),
  upstreams: z.array(
    z.object({ site: z.string(), url: z.string(), weight: z.number(), healthy: z.boolean(), answers: z.boolean() }),
  ),
  inFlight: z.record(z.string(), z.number()),
  held: z.number(),
  stats: z.record(
    z.string(),
    z.object({
      ok: z.number(),
      writesOk: z.number(),
      failed: z.number(),
      lastWriteOkAtMs: z.number().nullable(),
      writersSinceRoute: z.number(),
      writesOkSinceRoute: z.number(),
    }),
  ),
  writersBeforeRoute: z.number(),
  writersNow: z.number(),
});
export type EntryView = z.infer<typeof state>;

/** `unknown`: the order was sent and nobody knows whether it arrived. */
export type OrderOutcome = { kind: 'taken'; view: EntryView } | { kind: 'unknown'; why: string };

const agent = new Agent({ connect: { timeout: callMs }, keepAliveTimeout: 30_000 });

/** Reads the entry's state. Throws PROXY_UNREACHABLE or, when it refuses the token, CONFIG_INVALID. */
export async function readEntry(input: VerbInput, { signal }: Pick<VerbContext, 'signal'>): Promise<EntryView> {
  const answer = await call(input, signal, { method: 'GET', path: '/admin/state' });
  if (answer.kind !== 'answered') throw unreachable(input, answer.why);
  return parse(input, answer);
}

/**
 * Gives the entry an order. Throws EPOCH_STALE when it knows a newer epoch, PROXY_UNREACHABLE when the order has certainly
 * not arrived.
 */
export async function orderEntry(
  input: VerbInput,
  { signal }: Pick<VerbContext, 'signal'>,
  path: '/admin/route' | '/admin/mode',
  body: object,
): Promise<OrderOutcome> {
  const answer = await call(input, signal, { method: 'PUT', path, body });
  if (answer.kind === 'not-sent') throw unreachable(input, answer.why);
  if (answer.kind === 'lost') return { kind: 'unknown', why: answer.why };
  if (answer.status >= 500) return { kind: 'unknown', why: `the entry answered ${answer.status}` };
  return { kind: 'taken', view: parse(input, answer) };
}

type Answer =
  | { kind: 'answered'; status: number; body: unknown }
  | { kind: 'not-sent'; why: string }
  | { kind: 'lost'; why: string };

async function call(
  input: VerbInput,
  signal: AbortSignal,
  { method, path, body }: { method: 'GET' | 'PUT'; path: string; body?: object },
): Promise<Answer> {
  const { admin, token } = proxyConfig(input.resource);
  try {
    const response = await request(admin + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      dispatcher: agent,
      signal: AbortSignal.any([signal, AbortSignal.timeout(Math.min(callMs, input.timeoutMs))]),
    });
    return { kind: 'answered', status: response.statusCode, body: await response.body.json() };
  } catch (err) {
    const code = (err as NodeJS.ErrnoException).code ?? (err instanceof Error ? err.name : 'no answer');
    const neverSent = code === 'ECONNREFUSED' || code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'EHOSTUNREACH';
    return { kind: neverSent ? 'not-sent' : 'lost', why: code };
  }
}

function parse(input: VerbInput, { status, body }: { status: number; body: unknown }): EntryView {
  const error = z.object({ error: z.string() }).safeParse(body).data?.error ?? `status ${status}`;
  const name = input.resource.name;
  if (status === 409) throw new MusterError('EPOCH_STALE', `${name}: ${error}`);
  if (status === 401) throw new MusterError('CONFIG_INVALID', `${name}: the entry refuses the token`);
  const parsed = state.safeParse(body);
  if (status === 200 && parsed.success) return parsed.data;
  throw new MusterError('PROXY_UNREACHABLE', `${name}: what answers is no entry: ${error}`);
}

function unreachable(input: VerbInput, why: string): MusterError {
  return new MusterError(
    'PROXY_UNREACHABLE',
    `${input.resource.name}: the admin API of the entry does not answer (${why})`,
  );
}
