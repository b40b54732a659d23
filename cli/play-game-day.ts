import path from 'node:path';
import { driverCatalogue } from '../activities/drivers/catalogue.ts';
import { makeReport, writeReport } from '../console/make-report.ts';
import { renderText } from '../console/report/render-text.ts';
import { loadEstate } from '../runbooks/estate.ts';
import { copiesReceipts, playGameDay, type GameDayResult } from '../sandbox/game-day.ts';
import { sites } from '../sandbox/addresses.ts';
import type { ReceiptsTruth } from '../sandbox/receipts-truth.ts';
import { scenarioNamed } from '../sandbox/scenarios/index.ts';
import { startWorld, type World } from '../sandbox/world.ts';
import { evidencePlaces } from '../worker/addresses.ts';
import { openLedger } from '../worker/ledger/ledger.ts';
import { connectClient } from '../worker/temporal.ts';
import { toMusterError } from '../workflows/engine/errors.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { createLiveView, type LiveView } from './live-view.ts';
import { reckon } from './reckoning.ts';
import { note, say, sayJson, seconds, style } from './output.ts';
import { showWorld, untilEnded } from './up.ts';

interface GameDayOptions {
  ask?: boolean;
  keep?: boolean;
  json?: boolean;
}

/** Brings the sandbox up, plays the scenario, reports, and takes it down again unless it is to be kept. */
export async function gameDay(options: GameDayOptions, name = 'site-loss'): Promise<ExitCode> {
  const scenario = scenarioNamed(name);
  const quiet = options.json === true;
  const tell = quiet ? note : say;
  const home = path.resolve(process.env['MUSTER_HOME'] ?? '.muster');
  const world = await startWorld({
    dir: home,
    ask: options.ask === true,
    scenario: scenario.name,
    onProgress: (line) => tell(style.dim(line)),
  });
  try {
    if (!quiet) showWorld(world);
    Object.assign(process.env, world.env.control);
    const code = await playAndReport(world, scenario.name, home, quiet);
    if (options.keep === true) {
      tell('\nThe sandbox stays up until Ctrl-C (or `npx muster down`).');
      await untilEnded();
    }
    return code;
  } finally {
    await world.stop();
  }
}

async function playAndReport(world: World, scenarioName: string, home: string, quiet: boolean): Promise<ExitCode> {
  const { control } = world.env;
  const client = await connectClient({
    address: control['TEMPORAL_ADDRESS'] ?? '',
    namespace: control['TEMPORAL_NAMESPACE'] ?? 'default',
  });
  const ledger = openLedger(control['MUSTER_LEDGER_URL'] ?? '');
  let live: LiveView = createLiveView(false);
  try {
    const estate = loadEstate(world.estate, driverCatalogue);
    const day = await playGameDay({
      world,
      client,
      estate,
      scenario: scenarioNamed(scenarioName),
      say: quiet ? note : say,
      show: (view) => (quiet ? undefined : live.show(view)),
      fresh: () => (live = createLiveView()),
    });
    await world.clients.stop();
    const reckoning = await reckon(day, world.clients.truthFile, {
      url: world.adminUrl('hangzhou'),
      buckets: sites.map((site) => world.receiptsAt(site)),
      copied: copiesReceipts(estate),
    });
    const runIds = day.runs.map((run) => run.runId);
    const report = await makeReport(ledger, evidencePlaces(estate), {
      runIds,
      clients: reckoning.clients,
      extras: reckoning.extras,
    });
    const written = await writeReport(report, path.join(home, 'reports'), runIds[0] ?? scenarioName);
    if (quiet) sayJson(report);
    else {
      say();
      say(renderText(report));
      say(
        `\n  fault to first order at beijing: ${style.bold(reckoning.outageMs === null ? 'never' : seconds(reckoning.outageMs))}`,
      );
      sayDirect(day);
      sayReceipts(reckoning.receipts);
      say(`  report  file://${written.html}\n  data    file://${written.json}`);
      if (world.temporalUi !== null) say(`  runs    ${world.temporalUi} (while the sandbox is up)`);
    }
    if (report.verdict === 'passed') return exitCodes.met;
    return report.verdict === 'failed' ? exitCodes.failed : exitCodes.objectivesMissed;
  } finally {
    await ledger.close().catch((err: unknown) => note(toMusterError(err).message));
    await client.connection.close();
  }
}

function sayReceipts({ written, missing, held }: ReceiptsTruth): void {
  const where = Object.entries(held).map(([site, count]) => `${count.toLocaleString('en')} at ${site}`);
  const lost = style.bold(`${missing.length} of ${written.toLocaleString('en')} lost`);
  say(`  receipts: ${where.join(', ')}; ${lost}`);
}

function sayDirect({ direct, runs, cameBackAtMs }: GameDayResult): void {
  const fencedAtMs = runs[0]?.clocks.fenced ?? Infinity;
  const homeAtMs = runs[2]?.clocks.fenced ?? Infinity;
  const wrong = direct.acks().filter((ack) => ack.ackedAtMs > fencedAtMs && ack.ackedAtMs < homeAtMs);
  const tried = Object.values(direct.refusals()).reduce((sum, n) => sum + n, 0);
  const back = new Date(cameBackAtMs).toISOString().slice(11, 19);
  say(
    `  a writer straight at the old primary (back at ${back}): ${style.bold(`${wrong.length} writes`)} taken after the fence, ${tried} refused`,
  );
}
