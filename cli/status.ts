import { controlAddress } from '../worker/addresses.ts';
import { readDependencies, type Dependencies } from '../worker/dependencies.ts';
import { activeRun } from '../worker/run-start.ts';
import { viewRun } from '../worker/run-follow.ts';
import type { FindingRow } from '../worker/ledger/types.ts';
import { readServiceState, type ServiceState } from '../worker/service-state.ts';
import type { EstateService } from '../runbooks/estate.ts';
import { toMusterError } from '../workflows/engine/errors.ts';
import type { RunView } from '../workflows/io.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { pressingText } from './findings.ts';
import { createLiveView } from './live-view.ts';
import { say, sayJson, style } from './output.ts';

interface StatusOptions {
  json?: boolean;
}

const dayMs = 86_400_000;

interface ServiceStatus {
  state: ServiceState;
  run: RunView | null;
  /** Why nothing can be said about runs; null when Temporal answers. */
  runsUnknown: string | null;
  ledger: string | null;
  /** What was found in the last day; null when the ledger does not answer. */
  findings: FindingRow[] | null;
  /** Since when, as the control plane knows it; null when it does not answer. */
  away: Dependencies | null;
}

/** `muster status` */
export async function showStatus(context: Context, options: StatusOptions, name?: string): Promise<ExitCode> {
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
    askLedger(context, service.name),
    readDependencies(controlAddress(context.estate())),
  ]);
  return { state, ...run, ...ledger, away };
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

async function askLedger(context: Context, service: string): Promise<Pick<ServiceStatus, 'ledger' | 'findings'>> {
  try {
    const ledger = await context.ledger();
    return { ledger: null, findings: await ledger.findings({ service, sinceMs: Date.now() - dayMs }) };
  } catch (err) {
    return { ledger: toMusterError(err).message, findings: null };
  }
}

function draw(service: EstateService | undefined, status: ServiceStatus): void {
  if (service === undefined) return;
  const { state, run, runsUnknown, ledger, findings, away } = status;
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
  const pressing = pressingText(findings ?? []);
  if (pressing !== '') say(`  ${pressing} in the last day: muster findings ${state.service}`);
  if (run !== null) createLiveView(false).show(run);
}

function since(atMs: number | null | undefined): string {
  return atMs === null || atMs === undefined ? '' : `, away since ${new Date(atMs).toISOString()}`;
}
