import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { Estate } from '../runbooks/estate.ts';
import { canonicalJson } from '../runbooks/hash.ts';
import { compileProtection, type Ordered } from '../runbooks/protection.ts';
import type { JsonObject } from '../workflows/engine/plan.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { startProtection } from './protection-start.ts';
import { estateMark } from './schedules/desired.ts';

/** What runs all the time because the estate asks for it: archives of WAL, and replications of buckets. */
export interface StandingStep {
  /** `same`: it runs, by this order or because somebody started it. `change`: it runs by an older order. */
  kind: 'start' | 'same' | 'change' | 'stop';
  workflowId: string;
  /** Null for one that is to be stopped. */
  ordered: Ordered<unknown> | null;
}

/** Workflow types that stand for a continuous order. */
const standingTypes = ['archiveWal', 'replicate'];
const endWithinMs = 60_000;
const askEveryMs = 250;

/** What lies between the estate's continuous orders and what runs. @throws MusterError TEMPORAL_UNREACHABLE */
export async function compareStanding(client: Client, estate: Estate): Promise<StandingStep[]> {
  const { walArchives, replications } = compileProtection(estate);
  const wanted: Ordered<unknown>[] = [...walArchives, ...replications];
  const running = await runningOnes(client);
  const steps = wanted.map((ordered): StandingStep => {
    const found = running.get(ordered.workflowId);
    const kind = found === undefined ? 'start' : isOlder(found, ordered, estate) ? 'change' : 'same';
    return { kind, workflowId: ordered.workflowId, ordered };
  });
  const known = new Set(wanted.map(({ workflowId }) => workflowId));
  for (const [workflowId, { estate: mark }] of running) {
    if (!known.has(workflowId) && mark === estateMark(estate)) steps.push({ kind: 'stop', workflowId, ordered: null });
  }
  return steps;
}

export function mustAct(steps: readonly StandingStep[]): boolean {
  return steps.some(({ kind }) => kind !== 'same');
}

interface Running {
  /** The estate that asked for it; null when a person did. */
  estate: string | null;
  orderHash: string | null;
}

async function runningOnes(client: Client): Promise<Map<string, Running>> {
  const found = new Map<string, Running>();
  const types = standingTypes.map((type) => `'${type}'`).join(', ');
  const query = `WorkflowType IN (${types}) AND ExecutionStatus = 'Running'`;
  for await (const { workflowId, memo } of client.workflow.list({ query })) {
    const text = (name: string): string | null => (typeof memo?.[name] === 'string' ? memo[name] : null);
    found.set(workflowId, { estate: text('musterEstate'), orderHash: text('musterOrder') });
  }
  return found;
}

function isOlder(found: Running, { order }: Ordered<unknown>, estate: Estate): boolean {
  return found.estate === estateMark(estate) && found.orderHash !== hashOf(order);
}

function hashOf(order: unknown): string {
  return createHash('sha256')
    .update(canonicalJson(order as JsonObject))
    .digest('hex');
}

/** Makes what runs what the estate asks for; what a person started is left alone. @returns ids of what was done */
export async function applyStanding(
  client: Client,
  steps: readonly StandingStep[],
  estate: Pick<Estate, 'fileName'>,
): Promise<string[]> {
  const done: string[] = [];
  for (const { kind, workflowId, ordered } of steps) {
    if (kind === 'same') continue;
    if (kind !== 'start') await end(client, workflowId);
    if (ordered !== null) await start(client, ordered, estateMark(estate));
    done.push(workflowId);
  }
  return done;
}

async function start(client: Client, { workflowType, workflowId, order, service }: Ordered<unknown>, mark: string) {
  const memo = { musterEstate: mark, musterOrder: hashOf(order) };
  const summary = `${workflowId}, as ${mark} asks for`;
  try {
    await startProtection(client, { workflowType, workflowId, order, service, summary, memo });
  } catch (err) {
    // Somebody was faster.
    if (!(err instanceof MusterError) || err.code !== 'RUN_ACTIVE') throw err;
  }
}

/** In order: what it holds (slots, ledgers) is its own to leave as it should be. */
async function end(client: Client, workflowId: string): Promise<void> {
  const handle = client.workflow.getHandle(workflowId);
  await handle.cancel();
  const until = Date.now() + endWithinMs;
  while ((await handle.describe()).status.name === 'RUNNING') {
    if (Date.now() > until) throw new MusterError('STEP_TIMEOUT', `${workflowId} does not end; see it in Temporal`);
    await new Promise((resolve) => setTimeout(resolve, askEveryMs));
  }
}
