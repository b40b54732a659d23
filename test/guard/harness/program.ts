/**
 * The least program that runs a granter and, with a database, a guard: what the tests kill, pause and cut off.
 * Settings come as JSON in the first argument; it ends with its standard input.
 */
import { z } from 'zod';
import { openGranter } from '../../../activities/guard/granter-store.ts';
import { startGuard, type Guard } from '../../../activities/guard/guard.ts';
import { startAgentServer } from '../../../activities/guard/server.ts';
import { fileDatabase } from './file-database.ts';

const settings = z
  .object({
    site: z.string(),
    port: z.number(),
    dir: z.string(),
    leaseMs: z.number(),
    token: z.string(),
    granters: z.array(z.object({ name: z.string(), url: z.string() })),
    /** Whether there is a database to guard. */
    guards: z.boolean(),
  })
  .parse(JSON.parse(process.argv[2] ?? ''));
export type HarnessSettings = typeof settings;

const { site, port, dir, leaseMs, token, granters } = settings;
const service = 'shop';

const granter = openGranter({
  stateFile: `${dir}/granter.json`,
  site: site === 'control' ? null : site,
  services: { [service]: { leaseMs } },
});
const guards: Guard[] = [];
if (settings.guards) {
  const database = fileDatabase(dir);
  const onEvent = (event: object): void => void process.stderr.write(`${site} ${JSON.stringify(event)}\n`);
  const stateFile = `${dir}/guard.json`;
  guards.push(
    startGuard({ service, resource: 'orders', site, leaseMs, database, granters, token, stateFile, onEvent }),
  );
}

await startAgentServer({
  host: '127.0.0.1',
  port,
  token,
  site,
  granter,
  guards: () => guards,
  extraRoutes: [
    {
      method: 'POST',
      path: '/test/open-now',
      handle: async (request) => {
        const { epoch } = z.object({ epoch: z.number() }).parse(request.json());
        await guards[0]?.openNow(epoch, 10_000);
        return { status: 200, json: {} };
      },
    },
    {
      // What this process believes the time of day to be.
      method: 'GET',
      path: '/test/clock',
      handle: () => ({ status: 200, json: { unixMs: Date.now() } }),
    },
  ],
});
process.stdin.on('close', () => process.exit(0)).resume();
process.stdout.write('ready\n');
