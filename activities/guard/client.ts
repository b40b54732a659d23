import { Agent, errors, request } from 'undici';
import type { z } from 'zod';
import { errorCatalogue, MusterError, type ErrorCode } from '../../workflows/engine/errors.ts';
import * as messages from './messages.ts';
import type {
  AgentState,
  CloseAnswer,
  CloseRequest,
  EpochRequest,
  GranterState,
  LeaseAnswer,
  LeaseRequest,
  StopGrantingAnswer,
  StopGrantingRequest,
} from './protocol.ts';

/** Where an agent (or the control plane's own HTTP, site `control`) is reached. */
export interface AgentAddress {
  site: string;
  url: string;
  token: string;
}
export interface CallLimit {
  /** For the whole call, connecting included. */
  timeoutMs: number;
  signal?: AbortSignal;
}

/** One question to one granter; being refused is an answer. @throws MusterError AGENT_UNREACHABLE */
export async function askLease(agent: AgentAddress, ask: LeaseRequest, limit: CallLimit): Promise<LeaseAnswer> {
  return call(agent, { method: 'POST', path: '/v1/lease', body: ask, alsoOk: 409 }, messages.leaseAnswer, limit);
}

/** @throws MusterError AGENT_UNREACHABLE, SERVICE_UNKNOWN */
export async function stopGranting(
  agent: AgentAddress,
  stop: StopGrantingRequest,
  limit: CallLimit,
): Promise<StopGrantingAnswer> {
  return call(agent, { method: 'POST', path: '/v1/stop-granting', body: stop }, messages.stopGrantingAnswer, limit);
}

/** @throws MusterError AGENT_UNREACHABLE, SERVICE_UNKNOWN, EPOCH_STALE */
export async function putEpoch(agent: AgentAddress, epoch: EpochRequest, limit: CallLimit): Promise<GranterState> {
  return call(agent, { method: 'PUT', path: '/v1/epoch', body: epoch }, messages.granterState, limit);
}

/** @throws MusterError AGENT_UNREACHABLE */
export async function getState(agent: AgentAddress, limit: CallLimit): Promise<AgentState> {
  return call(agent, { method: 'GET', path: '/v1/state' }, messages.agentState, limit);
}

/** @throws MusterError AGENT_UNREACHABLE, SERVICE_UNKNOWN, EPOCH_STALE, FENCE_UNCONFIRMED */
export async function closeGuard(agent: AgentAddress, close: CloseRequest, limit: CallLimit): Promise<CloseAnswer> {
  return call(agent, { method: 'POST', path: '/v1/guard/close', body: close }, messages.closeAnswer, limit);
}

interface Question {
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  body?: unknown;
  alsoOk?: number;
}

/** Idle connections are given up before the server does it (5 s), else a call could meet one that is just closing. */
const connections = new Agent({ keepAliveTimeout: 4000, keepAliveMaxTimeout: 4000, pipelining: 1 });

async function call<T>(agent: AgentAddress, question: Question, schema: z.ZodType<T>, limit: CallLimit): Promise<T> {
  const deadline = AbortSignal.timeout(Math.max(1, Math.ceil(limit.timeoutMs)));
  const signal = limit.signal === undefined ? deadline : AbortSignal.any([deadline, limit.signal]);
  const { status, text } = await send(agent, question, signal).catch((cause: unknown) => {
    throw unreachable(agent, question, deadline.aborted ? `no answer in ${limit.timeoutMs} ms` : reason(cause), cause);
  });
  if (status !== 200 && status !== question.alsoOk) throw refused(agent, question, status, text);
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) throw unreachable(agent, question, `answers what a Muster agent would not (HTTP ${status})`);
  return parsed.data;
}

async function send(agent: AgentAddress, question: Question, signal: AbortSignal) {
  try {
    return await sendOnce(agent, question, signal);
  } catch (err) {
    // The other end closed a kept connection; every call here may safely be repeated.
    if (signal.aborted || !isClosedConnection(err)) throw err;
    return sendOnce(agent, question, signal);
  }
}

async function sendOnce(agent: AgentAddress, question: Question, signal: AbortSignal) {
  const headers: Record<string, string> = { authorization: `Bearer ${agent.token}` };
  if (question.body !== undefined) headers['content-type'] = 'application/json';
  const { statusCode, body } = await request(new URL(question.path, agent.url), {
    method: question.method,
    headers,
    body: question.body === undefined ? null : JSON.stringify(question.body),
    dispatcher: connections,
    signal,
  });
  return { status: statusCode, text: await body.text() };
}

function isClosedConnection(err: unknown): boolean {
  if (err instanceof errors.SocketError) return true;
  return err instanceof Error && 'code' in err && (err.code === 'ECONNRESET' || err.code === 'EPIPE');
}

function refused(agent: AgentAddress, question: Question, status: number, text: string): MusterError {
  const body = messages.errorBody.safeParse(parseJson(text));
  const said = body.success ? body.data : { error: `HTTP ${status}` };
  if (isCode(said.code)) return new MusterError(said.code, `agent of ${agent.site}: ${said.error}`);
  return unreachable(agent, question, `HTTP ${status}: ${said.error}`);
}

function isCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(errorCatalogue, code);
}

function unreachable(agent: AgentAddress, question: Question, why: string, cause?: unknown): MusterError {
  const options = cause === undefined ? undefined : { cause };
  return new MusterError(
    'AGENT_UNREACHABLE',
    `agent of ${agent.site}: ${question.method} ${question.path}: ${why}`,
    options,
  );
}

/** Codes such as ECONNREFUSED say enough; messages of the network layer may carry addresses, never tokens. */
function reason(cause: unknown): string {
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.message : String(cause);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
