import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { connectClient, registerSearchAttributes, searchAttributes } from '../worker/temporal.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { freePort, returnPort } from './ports.ts';
import type { Processes } from './processes.ts';

/** A Temporal server that is starting or runs already. */
export interface TemporalServer {
  /** `host:port` */
  address: string;
  namespace: string;
  /** `null` when the server is not ours. */
  uiUrl: string | null;
  /** Resolves when it takes runs. @throws MusterError SETUP_FAILED or TEMPORAL_UNREACHABLE */
  ready: Promise<void>;
}

type Source = { kind: 'binary'; path: string } | { kind: 'address'; address: string };

const setupFile = z.object({
  temporal: z.union([
    z.object({ kind: z.literal('binary'), path: z.string() }),
    z.object({ kind: z.literal('address'), address: z.string() }),
  ]),
});

const namespace = 'default';
const readyMs = 30_000;
const pollMs = 50;

/**
 * Polls that one shard may make of its queues per second. By default it is 20: each hop of a step then waits 50 ms.
 * Source: `history.transferProcessorMaxPollRPS`, `history.timerProcessorMaxPollRPS` of the Temporal server.
 */
const pollsPerSecond = 2000;

/**
 * Starts a Temporal dev server on a database file, or takes the one that set-up found, and registers what our runs need.
 * @param dir where its database file is kept
 * @throws MusterError SETUP_FAILED when set-up has found no server
 */
export async function startTemporal(options: {
  processes: Processes;
  home: string;
  dir: string;
  host: string;
  anyPorts: boolean;
}): Promise<TemporalServer> {
  const source = temporalSource(options.home);
  if (source.kind === 'address') {
    const place = { address: source.address, namespace };
    return { ...place, uiUrl: null, ready: handled(register(place)) };
  }
  const { host, processes, anyPorts } = options;
  const port = await freePort(host, anyPorts ? 0 : 7233);
  const uiPort = await freePort(host, anyPorts ? 0 : 8233);
  const args = serverArguments({ host, port, uiPort, file: join(options.dir, 'temporal.db') });
  const { ended } = processes.startServer({ name: 'temporal', command: source.path, args });
  const place = { address: `${host}:${port}`, namespace };
  const early = ended.then((how) => {
    const log = processes.log('temporal');
    throw new MusterError('SETUP_FAILED', `temporal ended before it was ready: ${how}; its log is ${log}`);
  });
  void ended.then(() => [port, uiPort].forEach((p) => returnPort(host, p)));
  const ready = handled(Promise.race([untilRegistered(place), handled(early)]));
  return { ...place, uiUrl: `http://${host}:${uiPort}`, ready };
}

/** A promise that may fail before anybody awaits it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function serverArguments(at: { host: string; port: number; uiPort: number; file: string }): string[] {
  const flags: [string, string][] = [
    ['db-filename', at.file],
    ['ip', at.host],
    ['port', String(at.port)],
    ['ui-port', String(at.uiPort)],
    ['log-level', 'warn'],
    ['sqlite-pragma', 'journal_mode=WAL'],
    ['sqlite-pragma', 'synchronous=1'],
    ['dynamic-config-value', `history.transferProcessorMaxPollRPS=${pollsPerSecond}`],
    ['dynamic-config-value', `history.timerProcessorMaxPollRPS=${pollsPerSecond}`],
    // A worker of the run's own queue is handed the next activity with the answer to its workflow task.
    ['dynamic-config-value', 'system.enableActivityEagerExecution=true'],
    ...Object.keys(searchAttributes).map((name): [string, string] => {
      return ['search-attribute', `${name}=${name === 'DrDrill' ? 'Bool' : 'Keyword'}`];
    }),
  ];
  return ['server', 'start-dev', ...flags.flatMap(([flag, value]) => [`--${flag}`, value])];
}

/** Where Temporal comes from: named by the environment, else found by set-up. */
function temporalSource(home: string): Source {
  const path = process.env['MUSTER_TEMPORAL_BIN'];
  if (path !== undefined && path !== '') return { kind: 'binary', path };
  const files = [join(home, 'setup.json'), join(import.meta.dirname, '..', '.muster', 'setup.json')];
  for (const file of files.filter((f) => existsSync(f))) {
    const parsed = setupFile.safeParse(JSON.parse(readFileSync(file, 'utf8')));
    if (parsed.success) return parsed.data.temporal;
  }
  throw new MusterError('SETUP_FAILED', 'no Temporal server was set up; run `npm run setup`');
}

async function untilRegistered(place: { address: string; namespace: string }): Promise<void> {
  const untilMs = performance.now() + readyMs;
  for (;;) {
    try {
      return await register(place);
    } catch (err) {
      if (performance.now() > untilMs) throw err;
      await sleep(pollMs);
    }
  }
}

async function register(place: { address: string; namespace: string }): Promise<void> {
  const client = await connectClient(place);
  try {
    await registerSearchAttributes(client, place.namespace);
  } finally {
    await client.connection.close();
  }
}
