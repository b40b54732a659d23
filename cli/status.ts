import type { Command } from 'commander';
import { controlAddress } from '../worker/addresses.ts';
import { readDependencies, type Dependencies } from '../worker/dependencies.ts';
import { activeRun } from '../worker/run-start.ts';
import { viewRun } from '../worker/run-follow.ts';
import { readServiceState, type ServiceState } from '../worker/service-state.ts';
import type { EstateService } from '../runbooks/estate.ts';
import { toMusterError } from '../workflows/engine/errors.ts';
import type { RunView } from '../workflows/io.ts';
import { action } from './command.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { createLiveView } from './live-view.ts';
import { say, sayJson, style } from './output.ts';

interface StatusOptions {
  json?: boolean;
}

export function addStatus(program: Command): void {
  program
    .command('status [service]')
    .description('Who writes, who follows, what runs; and what does not answer')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExamples:\n  $ npx muster status\n  $ npx muster status shop --json')
    .action(action<StatusOptions>(showStatus));
}

interface ServiceStatus {
  state: ServiceState;
  run: RunView | null;
  /** Why nothing can be said about runs; null when Temporal answers. */
  runsUnknown: string | null;
  ledger: string | null;
  /** Since when, as the control plane knows it; null when it does not answer. */
  away: Dependencies | null;
}

async function showStatus(context: Context, options: StatusOptions, name?: string): Promise<ExitCode> {
  const services = name === undefined ? Object.values(context.estate().services) : [context.service(name)];
  const statuses = await Promise.all(services.map((service) => statusOf(context, service)));
  if (options.json === true) sayJson(statuses);
  else for (const [i, status] of statuses.entries()) draw(services[i], status);
  return statuses.some((s) => s.run !== null && (s.run.asks.length > 0 || s.run.status === 'paused'))
    ? exitCodes.needsPerson
    : exitCodes.met;
}

async function statusOf(context: Context, service: EstateService): Promise<ServiceStatus> {
  const [state, run, ledger, away] = await Promise.all([
    readServiceState(context.estate(), service),
    runOf(context, service.name),
    ledgerTrouble(context, service.name),
    readDependencies(controlAddress(context.estate())),
  ]);
  return { state, ...run, ledger, away };
}

async function runOf(context: Context, service: string): Promise<Pick<ServiceStatus, 'run' | 'runsUnknown'>> {
  try {
    const client = await context.temporal();
    if ((await activeRun(client, service)) === null) return { run: null, runsUnknown: null };
    return { run: await viewRun(client, service), runsUnknown: null };
  } catch (err) {
    return { run: null, runsUnknown: toMusterError(err).message };
  }
}

async function ledgerTrouble(context: Context, service: string): Promise<string | null> {
  try {
    await context.ledger().currentEpoch(service);
    return null;
  } catch (err) {
    return toMusterError(err).message;
  }
}

function draw(service: EstateService | undefined, { state, run, runsUnknown, ledger, away }: ServiceStatus): void {
  if (service === undefined) return;
  say(`${style.bold(state.service)}  writer ${style.bold(state.holder)}  epoch ${state.epoch}`);
  for (const [site, answer] of Object.entries(state.answers)) {
    for (const guard of answer.guards.filter((g) => g.service === state.service)) {
      const lease = guard.leaseRemainingMs > 0 ? `, lease ${(guard.leaseRemainingMs / 1000).toFixed(1)} s` : '';
      say(`  ${site}/${guard.resource}: ${guard.state}${lease}${guard.why === '' ? '' : style.dim(` (${guard.why})`)}`);
    }
    for (const view of answer.vantage.filter((v) => v.service === state.service && v.site === state.holder)) {
      say(
        `  ${site} sees ${view.site} ${view.up ? style.green('up') : style.red(`down for ${(view.downForMs / 1000).toFixed(1)} s`)}${view.up ? '' : ` (${view.why})`}`,
      );
    }
  }
  for (const [site, why] of Object.entries(state.silent)) say(`  ${style.yellow(`${site} does not answer`)}: ${why}`);
  if (runsUnknown !== null)
    say(
      `  ${style.yellow('runs unknown')}: ${runsUnknown}\n    Services keep serving and guards keep their leases; no run can start or go on.`,
    );
  if (ledger !== null)
    say(
      `  ${style.yellow('ledger')}: ${ledger}${since(away?.ledgerAwaySinceMs)}\n    Runs go on and are recorded when it is back; reports wait for it.`,
    );
  if (run !== null) createLiveView(false).show(run);
}

function since(atMs: number | null | undefined): string {
  return atMs === null || atMs === undefined ? '' : `, away since ${new Date(atMs).toISOString()}`;
}
