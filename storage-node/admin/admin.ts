import { type IncomingMessage, type ServerResponse } from 'node:http';
import { refusal } from '../http/errors.ts';
import { admit, type GateSettings, plainHeaders } from '../http/gate.ts';
import { type RequestLine } from '../http/request-line.ts';
import { S3Error } from '../http/s3-error.ts';
import { type Healer } from '../heal/healer.ts';
import { type ObjectLayer } from '../object/layer.ts';
import { type SiteFence } from '../site-fence.ts';
import { type ErasureSet } from '../store/set.ts';
import { nodeIdNamed, whyNoAddress } from '../topology/address.ts';
import { type Topology } from '../topology/topology.ts';
import { type Metrics } from './metrics.ts';
import { clusterStatus, setStatus } from './status.ts';

export interface AdminParts {
  topology: Topology;
  self: string;
  sets: readonly ErasureSet[];
  layer: ObjectLayer;
  fence: SiteFence;
  healer: Healer;
  metrics: Metrics;
  gate: GateSettings;
}

type Reply = { status: number; body: unknown; type?: string };
type Route = (parts: AdminParts, request: { line: RequestLine; match: RegExpExecArray }) => Promise<Reply>;

/** Open to everybody who reaches the port: they say how the cluster is, nothing of what is in it. */
const open: readonly [RegExp, Route][] = [
  [/^\/health\/live$/, () => Promise.resolve({ status: 200, body: { live: true } })],
  [/^\/health\/ready$/, (parts) => ready(parts)],
  [/^\/health\/can-stop$/, (parts, { line }) => canStop(parts, line.query.get('node'))],
  [
    /^\/metrics$/,
    async ({ metrics }) => ({ status: 200, body: await metrics.text(), type: 'text/plain; version=0.0.4' }),
  ],
];

/** Signed with the root account, like any request. */
const base = '/muster/admin/v1';
const signed: readonly [string, RegExp, Route][] = [
  ['GET', /^\/status$/, async (parts) => ({ status: 200, body: await clusterStatus(parts) })],
  ['GET', /^\/site$/, async ({ fence }) => ({ status: 200, body: { ...(await fence.read()), lease: fence.held() } })],
  ['POST', /^\/fence$/, (parts, { line }) => setFence(parts, line, true)],
  ['POST', /^\/unfence$/, (parts, { line }) => setFence(parts, line, false)],
  ['POST', /^\/lease$/, (parts, { line }) => lease(parts, line)],
  ['POST', /^\/heal$/, (parts, { line }) => heal(parts, line)],
  [
    'GET',
    /^\/heal$/,
    ({ healer }) => Promise.resolve({ status: 200, body: { sets: healer.status(), totals: healer.totals() } }),
  ],
  ['GET', /^\/buckets\/([^/]+)\/changes$/, (parts, { line, match }) => changes(parts, line, match[1]!)],
];

/** Answers health, metrics and administration. @returns false for paths that are none of these. */
export function createAdmin(
  parts: AdminParts,
): (request: IncomingMessage, response: ServerResponse, line: RequestLine) => boolean {
  return (request, response, line) => {
    const isAdmin = line.path.startsWith(`${base}/`);
    const health = open.find(([path]) => path.test(line.path));
    if (!isAdmin && (health === undefined || request.method !== 'GET')) return false;
    const answer = isAdmin
      ? administer(parts, request, line)
      : health![1](parts, { line, match: health![0].exec(line.path)! });
    answer
      .catch((error: unknown): Reply => {
        const { status, code, message } = refusal(error);
        return { status, body: { error: code, message } };
      })
      .then((reply) => send(response, reply))
      .catch(() => request.socket.destroy());
    request.resume();
    return true;
  };
}

async function administer(parts: AdminParts, request: IncomingMessage, line: RequestLine): Promise<Reply> {
  const headers = plainHeaders(request);
  const { dialect } = admit(
    { method: request.method ?? '', line, headers, rawHeaders: request.rawHeaders },
    parts.gate,
  );
  if (dialect !== 's3')
    throw new S3Error('AccessDenied', 403, 'Administration is signed with AWS Signature Version 4.');
  const path = line.path.slice(base.length);
  for (const [method, pattern, route] of signed) {
    const match = pattern.exec(path);
    if (match !== null && method === request.method) return route(parts, { line, match });
  }
  throw new S3Error('NotImplemented', 404, `There is no ${request.method} ${line.path}.`);
}

function send(response: ServerResponse, reply: Reply): void {
  const body = typeof reply.body === 'string' ? reply.body : `${JSON.stringify(reply.body)}\n`;
  response.writeHead(reply.status, {
    'content-type': reply.type ?? 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

async function ready({ sets, topology }: AdminParts): Promise<Reply> {
  const states = await Promise.all(sets.map((set) => setStatus(set, topology)));
  const all = states.every(({ writable }) => writable);
  return {
    status: all ? 200 : 503,
    body: { ready: all, sets: states.map((state) => ({ ...state, drives: undefined })) },
  };
}

async function canStop({ sets, topology }: AdminParts, named: string | undefined): Promise<Reply> {
  const id = named === undefined ? undefined : nodeIdNamed(named);
  const node = topology.nodes.find((one) => one.id === id);
  if (node === undefined)
    throw new S3Error(
      'InvalidArgument',
      400,
      `node must be one of ${topology.nodes.map((one) => one.id).join(', ')}${whyNoAddress(named ?? '')}`,
    );
  const states = await Promise.all(sets.map((set) => setStatus(set, topology, node.index)));
  const blocked = states.filter(({ writable }) => !writable).map(({ set }) => set);
  return {
    status: blocked.length === 0 ? 200 : 412,
    body: { node: node.id, canStop: blocked.length === 0, setsThatCouldNotWrite: blocked },
  };
}

async function setFence({ fence }: AdminParts, line: RequestLine, fenced: boolean): Promise<Reply> {
  const epoch = numberOf(line, 'epoch');
  const leased = line.query.get('leased') === 'true';
  return { status: 200, body: await fence.set({ epoch, fenced, leased: leased && !fenced }) };
}

/** The longest lease a node takes: who grants it must come back before that. */
const longestLeaseMs = 600_000;

async function lease({ fence }: AdminParts, line: RequestLine): Promise<Reply> {
  const forMs = numberOf(line, 'ms');
  if (forMs > longestLeaseMs) throw new S3Error('InvalidArgument', 400, `ms must be at most ${longestLeaseMs}`);
  // A node that was frozen reads what was sent long ago as if it came now.
  const leftMs = Math.min(forMs, numberOf(line, 'until') - Date.now());
  if (forMs > 0 && leftMs <= 0) throw new S3Error('InvalidArgument', 400, 'the lease ran out before it came here');
  return { status: 200, body: await fence.lease(numberOf(line, 'epoch'), forMs === 0 ? 0 : leftMs) };
}

async function heal(parts: AdminParts, line: RequestLine): Promise<Reply> {
  const kind = line.query.get('verify') === 'true' ? 'scrub' : 'recount';
  const only = line.query.has('set') ? numberOf(line, 'set') : undefined;
  const chosen = parts.sets.filter(({ index }) => only === undefined || index === only);
  if (chosen.length === 0) throw new S3Error('InvalidArgument', 400, `there is no set ${only}`);
  const passes = chosen.map((set) => parts.healer.run(set, kind));
  if (line.query.get('wait') !== 'true') {
    for (const pass of passes) pass.catch(() => {});
    return { status: 202, body: { started: chosen.map(({ index }) => index), kind } };
  }
  return { status: 200, body: { kind, sets: await Promise.all(passes) } };
}

async function changes({ layer }: AdminParts, line: RequestLine, bucket: string): Promise<Reply> {
  const of = (name: string, fallback: number): number => (line.query.has(name) ? numberOf(line, name) : fallback);
  const limit = Math.min(Math.max(1, of('limit', 1_000)), 10_000);
  const waitMs = Math.min(of('wait', 0), 60) * 1_000;
  const page = await layer.changes(bucket, { after: of('after', 0), limit, waitMs });
  if (line.query.get('tags') === 'true') return { status: 200, body: page };
  // A follower that knows nothing of tags could take the change of them for another write of the object.
  return { status: 200, body: { ...page, changes: page.changes.filter(({ kind }) => !kind.endsWith('tags')) } };
}

function numberOf(line: RequestLine, name: string): number {
  const text = line.query.get(name) ?? '';
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new S3Error('InvalidArgument', 400, `${name} must be a whole number, 0 or more`);
  return value;
}
