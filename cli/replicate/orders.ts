import os from 'node:os';
import { readServiceState } from '../../worker/service-state.ts';
import { signalReplication, startReplication } from '../../worker/replication.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import type { Context } from '../context.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { say, sayJson } from '../output.ts';
import { replicatedResources, type ReplicatedResource } from './choose.ts';

interface Flags {
  by?: string;
  json?: boolean;
}

interface Told {
  service: string;
  resource: string;
  /** What came of the order, in words. */
  outcome: string;
}

/** `muster replicate start` */
export function startReplications(context: Context, flags: Flags, name?: string): Promise<ExitCode> {
  return each(context, flags, name, (one) => start(context, one, flags.by ?? os.userInfo().username));
}

/** `muster replicate pause` */
export function pauseReplication(context: Context, flags: Flags, name?: string): Promise<ExitCode> {
  return each(context, flags, name, (one) => signal(context, one, 'pause'));
}

/** `muster replicate resume` */
export function resumeReplication(context: Context, flags: Flags, name?: string): Promise<ExitCode> {
  return each(context, flags, name, (one) => signal(context, one, 'resume'));
}

async function each(
  context: Context,
  flags: Flags,
  name: string | undefined,
  order: (one: ReplicatedResource) => Promise<string>,
): Promise<ExitCode> {
  const told: Told[] = [];
  for (const one of replicatedResources(context, name)) {
    told.push({ service: one.service.name, resource: one.resource.name, outcome: await order(one) });
  }
  if (flags.json === true) sayJson(told);
  else for (const { service, resource, outcome } of told) say(`${service}/${resource}: ${outcome}`);
  if (told.length === 0 && flags.json !== true) say('no bucket of the estate has replication: async');
  return exitCodes.met;
}

async function start(context: Context, { service, resource }: ReplicatedResource, startedBy: string): Promise<string> {
  const { holder: from } = await readServiceState(context.estate(), service);
  const to = from === service.primary ? service.standby : service.primary;
  const { name, driver, sites, shared } = resource;
  const order = { service: service.name, resource: { name, driver, sites, shared }, from, to, startedBy };
  try {
    await startReplication(await context.temporal(), order);
    return `started, ${from} → ${to}`;
  } catch (err) {
    if (err instanceof MusterError && err.code === 'RUN_ACTIVE') return 'runs already';
    throw err;
  }
}

async function signal(
  context: Context,
  { service, resource }: ReplicatedResource,
  order: 'pause' | 'resume',
): Promise<string> {
  try {
    await signalReplication(await context.temporal(), { service: service.name, resource: resource.name }, order);
    return order === 'pause' ? 'pauses' : 'goes on';
  } catch (err) {
    if (err instanceof Error && err.name === 'WorkflowNotFoundError') {
      const way = `start it with \`muster replicate start ${service.name}/${resource.name}\``;
      throw new MusterError('SCHEDULE_UNKNOWN', `no replication of ${service.name}/${resource.name} runs; ${way}`);
    }
    throw err;
  }
}
