import type { z } from 'zod';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Granter } from './granter-store.ts';
import type { Guard } from './guard.ts';
import { startHttpServer, type HttpServer, type Route, type RouteRequest } from './http.ts';
import { closeRequest, epochRequest, leaseRequest, stopGrantingRequest } from './messages.ts';
import type { AgentState, CloseAnswer, CloseRequest, GuardState, VantageView } from './protocol.ts';

export interface AgentServerOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  token: string;
  /** Site name, or `control`. */
  site: string;
  granter: Granter;
  /** The guards of this process; none at the control plane. */
  guards?: () => readonly Guard[];
  vantage?: () => VantageView[];
  extraRoutes?: readonly Route[];
}

/** HTTP of an agent or of the control plane, paths as in `protocol.ts`. @throws MusterError CONFIG_INVALID */
export async function startAgentServer(options: AgentServerOptions): Promise<HttpServer> {
  const routes = [...protocolRoutes(options), ...(options.extraRoutes ?? [])];
  return startHttpServer({ host: options.host, port: options.port, token: options.token, routes });
}

function protocolRoutes({ site, granter, guards = () => [], vantage = () => [] }: AgentServerOptions): Route[] {
  const state = (): AgentState => ({
    site,
    granters: granter.states(),
    guards: guards().map((guard) => guard.state()),
    vantage: vantage(),
  });
  return [
    {
      method: 'POST',
      path: '/v1/lease',
      handle(request) {
        const json = granter.lease(read(request, leaseRequest));
        return { status: json.kind === 'granted' ? 200 : 409, json };
      },
    },
    {
      method: 'POST',
      path: '/v1/stop-granting',
      handle: (request) => ({ status: 200, json: granter.stopGranting(read(request, stopGrantingRequest)) }),
    },
    {
      method: 'PUT',
      path: '/v1/epoch',
      handle: (request) => ({ status: 200, json: granter.putEpoch(read(request, epochRequest)) }),
    },
    { method: 'GET', path: '/v1/state', handle: () => ({ status: 200, json: state() }) },
    {
      method: 'POST',
      path: '/v1/guard/close',
      handle: async (request) => ({ status: 200, json: await closeAll(guards(), read(request, closeRequest)) }),
    },
  ];
}

async function closeAll(guards: readonly Guard[], request: CloseRequest): Promise<CloseAnswer> {
  const named = guards.filter(
    ({ service, resource }) => service === request.service && resource === (request.resource ?? resource),
  );
  if (named.length === 0) {
    const what = request.resource === undefined ? request.service : `${request.service}/${request.resource}`;
    throw new MusterError('SERVICE_UNKNOWN', `no guard here watches ${what}`);
  }
  const answers = await Promise.all(named.map((guard) => guard.close(request)));
  const state = leastClosed.find((kind) => answers.some((answer) => answer.state === kind)) ?? 'closed';
  return { kind: 'closed', state, finalLsn: answers.length === 1 ? (answers[0]?.finalLsn ?? null) : null };
}

const leastClosed: readonly GuardState['state'][] = ['open', 'down', 'standby', 'closed', 'stopped'];

function read<T>(request: RouteRequest, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(request.json());
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  throw new MusterError('CONFIG_INVALID', problems.join('; '));
}
