import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { z } from 'zod';
import { driverCatalogue } from '../activities/drivers/catalogue.ts';
import { loadEstate, serviceOf, type Estate, type EstateService } from '../runbooks/estate.ts';
import type { Ledger } from '../worker/ledger/ledger.ts';
import type { TemporalPlace } from '../worker/temporal.ts';
import { MusterError } from '../workflows/engine/errors.ts';

/** What `muster up` leaves for the commands: where things are, and the environment of a process at the control plane. */
const sandboxFile = z.object({
  estate: z.string(),
  env: z.record(z.string(), z.string()),
  supervisor: z.object({ pid: z.number() }),
});

export interface Context {
  home: string;
  estatePath: string;
  /** True when the commands speak to the sandbox of this folder. */
  sandbox: boolean;
  estate(): Estate;
  service(name: string | undefined): EstateService;
  temporal(): Promise<Client>;
  ledger(): Promise<Ledger>;
  close(): Promise<void>;
}

/**
 * Where the commands look: an estate named by MUSTER_ESTATE, else the sandbox that runs in this folder, else
 * `muster.yaml`. Connections are made, and what makes them is loaded, when they are
 * first asked for.
 */
export function openContext(): Context {
  const home = path.resolve(process.env['MUSTER_HOME'] ?? '.muster');
  const sandbox = process.env['MUSTER_ESTATE'] === undefined ? adoptSandbox(home) : null;
  const estatePath = sandbox ?? process.env['MUSTER_ESTATE'] ?? 'muster.yaml';
  let estate: Estate | null = null;
  let client: Promise<Client> | null = null;
  let ledger: Promise<Ledger> | null = null;
  const context: Context = {
    home,
    estatePath,
    sandbox: sandbox !== null,
    estate: () => (estate ??= loadEstate(estatePath, driverCatalogue)),
    service: (name) => serviceOf(context.estate(), name ?? onlyService(context.estate())),
    temporal: () =>
      (client ??= connectOrSaySince(context.estate(), {
        address: process.env['TEMPORAL_ADDRESS'] ?? '127.0.0.1:7233',
        namespace: process.env['TEMPORAL_NAMESPACE'] ?? 'default',
      })),
    ledger: () => (ledger ??= connectLedger()),
    close: async () => {
      await ledger?.then(
        (l) => l.close(),
        () => undefined,
      );
      await client?.then(
        (c) => c.connection.close(),
        () => undefined,
      );
    },
  };
  return context;
}

/** The control plane knows since when Temporal is away, and says it for us. */
async function connectOrSaySince(estate: Estate, place: TemporalPlace): Promise<Client> {
  const { connectClient } = await import('../worker/temporal.ts');
  try {
    return await connectClient(place);
  } catch (err) {
    const [{ controlAddress }, { readDependencies }] = await Promise.all([
      import('../worker/addresses.ts'),
      import('../worker/dependencies.ts'),
    ]);
    const away = await readDependencies(controlAddress(estate));
    const sinceMs = away?.temporalAwaySinceMs ?? null;
    if (!(err instanceof MusterError) || sinceMs === null) throw err;
    throw new MusterError(err.code, `${err.message}; away since ${new Date(sinceMs).toISOString()}`, { cause: err });
  }
}

function onlyService(estate: Estate): string {
  const names = Object.keys(estate.services);
  if (names.length === 1 && names[0] !== undefined) return names[0];
  throw new MusterError('SERVICE_UNKNOWN', `name the service: ${names.join(', ')}`);
}

async function connectLedger(): Promise<Ledger> {
  const url = process.env['MUSTER_LEDGER_URL'];
  if (url === undefined)
    throw new MusterError('CONFIG_INVALID', 'MUSTER_LEDGER_URL is not set and no sandbox runs here');
  const { openLedger } = await import('../worker/ledger/ledger.ts');
  return openLedger(url);
}

/** Takes over the environment of the sandbox that runs here; what is set already wins. Returns its estate's path. */
function adoptSandbox(home: string): string | null {
  const file = path.join(home, 'sandbox.json');
  if (!existsSync(file)) return null;
  const parsed = sandboxFile.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success || !isAlive(parsed.data.supervisor.pid)) return null;
  for (const [name, value] of Object.entries(parsed.data.env)) process.env[name] ??= value;
  return parsed.data.estate;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (err) {
    return err instanceof Error && 'code' in err && err.code === 'EPERM';
  }
}
