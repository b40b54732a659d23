/**
 * A game day: steady load, a disaster, Muster's answer to it, the way home, and the count of what it really cost. The
 * report is held against what the clients kept.
 */
import type { Client } from '@temporalio/client';
import { isReplicated } from '../activities/drivers/bucket/config.ts';
import { protectionDir } from '../activities/drivers/bucket/replication/home.ts';
import { replicationFigures } from '../activities/drivers/bucket/replication/status.ts';
import { planRun } from '../worker/planner.ts';
import { hashEstate } from '../runbooks/hash.ts';
import { activeRun, startRun } from '../worker/run-start.ts';
import { followRun } from '../worker/run-follow.ts';
import { readServiceState } from '../worker/service-state.ts';
import { software } from '../worker/software.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import type { RunKind } from '../workflows/engine/plan.ts';
import type { RunView } from '../workflows/io.ts';
import type { Estate } from '../runbooks/estate.ts';
import { startDirectWriter, type DirectWriter } from './direct-writer.ts';
import type { Scenario } from './scenarios/scenario.ts';
import type { World } from './world.ts';

const service = 'shop';
const steadyMs = 4_000;
const settleMs = 1_500;
const directEveryMs = 20;
const patienceMs = 60_000;

export interface GameDay {
  world: World;
  client: Client;
  estate: Estate;
  scenario: Scenario;
  say(line: string): void;
  show(view: RunView): void;
  /** A new run begins: views of it start on a fresh screen. */
  fresh(): void;
}

export interface GameDayResult {
  scenario: string;
  faultAtMs: number;
  cameBackAtMs: number;
  /** The runs in their order: failover, reprotect, failback. */
  runs: RunView[];
  direct: DirectWriter;
  /** The disaster was declared by a person. */
  asked: boolean;
}

/** @throws MusterError when a run does not end as it must for the next act to make sense */
export async function playGameDay(day: GameDay): Promise<GameDayResult> {
  const { world, scenario } = day;
  await scenario.prepare?.(world);
  await steadyLoad(day);
  const direct = startDirectWriter(world.directUrl('hangzhou'), directEveryMs);
  try {
    return { ...(await playActs(day)), direct };
  } finally {
    // It would keep a day that fails from ending.
    await direct.stop();
  }
}

async function playActs(day: GameDay): Promise<Omit<GameDayResult, 'direct'>> {
  const { world, scenario, say } = day;
  await pause(steadyMs);
  const faultAtMs = Date.now();
  await scenario.strike(world);
  say(`▌ ${clock(faultAtMs)}  disaster: ${scenario.story}`);
  const failover = await followDeclared(day, faultAtMs);
  mustEnd(failover, 'unprotected');
  await pause(Math.max(0, scenario.awayMs - (Date.now() - (failover.clocks.committed ?? Date.now()))));
  const cameBackAtMs = Date.now();
  await scenario.comeBack(world);
  say(`▌ ${clock(cameBackAtMs)}  hangzhou is back, and its database believes that it is the primary`);
  await agentAnswers(day);
  const reprotect = await runKind(day, 'reprotect');
  mustEnd(reprotect, 'protected');
  await pause(settleMs);
  const failback = await runKind(day, 'failback');
  mustEnd(failback, 'protected');
  await pause(settleMs);
  return { scenario: scenario.name, faultAtMs, cameBackAtMs, runs: [failover, reprotect, failback], asked: false };
}

async function steadyLoad({ world, estate, say }: GameDay): Promise<void> {
  await until('the clients place orders steadily', async () => (await world.clients.stats()).acked > 100);
  if (copiesReceipts(estate)) await until('the receipts follow to beijing', async () => follows(world));
  const { acked } = await world.clients.stats();
  say(`▌ ${clock(Date.now())}  steady load: ${world.clients.count} clients, ${acked} orders placed at hangzhou`);
}

/** Whether the estate has the shop's receipts copied to the other site. */
export function copiesReceipts({ services }: Estate): boolean {
  const receipts = services[service]?.resources.find(({ driver }) => driver === 'bucket');
  return receipts !== undefined && isReplicated(receipts);
}

/** Whether what would be lost of the receipts now is known, and little. */
function follows({ home }: World): boolean {
  const seconds = replicationFigures(protectionDir(home), service, 'receipts')?.oldestPendingAgeSeconds ?? null;
  return seconds !== null && seconds < 2;
}

/** The watch sees it, holds, agrees with the other site and declares; where the policy asks, a person has to. */
async function followDeclared(day: GameDay, faultAtMs: number): Promise<RunView> {
  let said = false;
  for (;;) {
    const active = await activeRun(day.client, service);
    if (active !== null && active.startedAtMs >= faultAtMs - 1_000) break;
    if (!said && day.estate.services[service]?.policy.declare === 'ask' && Date.now() - faultAtMs > 3_000) {
      day.say(
        `▌ ${clock(Date.now())}  the disaster waits to be declared; in another terminal:\n    npx muster failover ${service} --by NAME`,
      );
      said = true;
    }
    if (!said && Date.now() - faultAtMs > patienceMs)
      throw new MusterError('INTERNAL', 'nobody declared the disaster within a minute');
    await pause(25);
  }
  return follow(day);
}

async function follow(day: GameDay): Promise<RunView> {
  day.fresh();
  const { runId } = await day.client.workflow.getHandle(`service/${service}`).describe();
  return followRun(day.client, { service, executionId: runId }, (view) => day.show(view));
}

async function runKind(day: GameDay, kind: RunKind): Promise<RunView> {
  const { estate, client, scenario } = day;
  const estateService = estate.services[service];
  if (estateService === undefined) throw new MusterError('SERVICE_UNKNOWN', `the sandbox has no service ${service}`);
  const plans = planRun(estate, estateService, await readServiceState(estate, estateService), { kind });
  const labels = { estateHash: hashEstate(estate), software, chainId: null, scenario: scenario.name };
  await startRun(client, { kind, plans, startedBy: 'game-day', labels });
  return follow(day);
}

async function agentAnswers({ estate }: GameDay): Promise<void> {
  const estateService = estate.services[service];
  if (estateService === undefined) return;
  await until(
    'the returned site answers',
    async () => 'hangzhou' in (await readServiceState(estate, estateService)).answers,
  );
}

function mustEnd(view: RunView, outcome: 'unprotected' | 'protected'): void {
  if (view.outcome === outcome) return;
  throw new MusterError(
    'INTERNAL',
    `${view.runId} ended ${view.outcome ?? view.status}: ${view.reason ?? 'no reason given'}`,
  );
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const giveUpAtMs = Date.now() + patienceMs;
  while (!(await holds().catch(() => false))) {
    if (Date.now() > giveUpAtMs)
      throw new MusterError('INTERNAL', `within ${patienceMs / 1_000} s it did not happen that ${what}`);
    await pause(50);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function clock(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 23);
}
