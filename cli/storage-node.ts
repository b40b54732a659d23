import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Command } from 'commander';
import { exitCodes } from './exit-codes.ts';

/** Options that say which cluster is meant and who asks. */
interface Target {
  endpoint: string;
  user?: string;
  password?: string;
  credentials?: string;
  region: string;
  ca?: string;
  json?: boolean;
}

const start = path.join(import.meta.dirname, '..', 'storage-node', 'main.ts');

/** `muster storage-node ...`: the bundled storage cluster. Its program is loaded only when it is used. */
export function addStorageNode(program: Command): void {
  const group = program.command('storage-node').description('the bundled S3 and OSS storage cluster');
  addStart(group);
  addDev(group);
  addCerts(group);
  target(group.command('status').description('what each set can do now, and how many more drives may fail')).action(
    (options: Target) =>
      report(options, 'GET', '/status', async (body) => (await import('./storage-status.ts')).statusText(body)),
  );
  target(group.command('heal').description('recount every set, heal what is short, and prove it by counting again'))
    .option('--verify', 'also read and verify every block')
    .option('--set <number>', 'only this set')
    .option('--no-wait', 'do not wait for the end')
    .action((options: Target & { verify?: boolean; set?: string; wait: boolean }) => {
      const query = new URLSearchParams({ wait: String(options.wait), verify: String(options.verify === true) });
      if (options.set !== undefined) query.set('set', options.set);
      return report(options, 'POST', `/heal?${query.toString()}`, async (body) =>
        (await import('./storage-status.ts')).healText(body),
      );
    });
  for (const [name, what] of [
    ['fence', 'refuse all writes of clients, under a new site epoch'],
    ['unfence', 'accept writes again, under a new site epoch'],
  ] as const) {
    target(group.command(name).description(what))
      .requiredOption('--epoch <number>', 'the new site epoch; must be above the present one')
      .action((options: Target & { epoch: string }) =>
        report(options, 'POST', `/${name}?epoch=${encodeURIComponent(options.epoch)}`, (body) => {
          const { epoch, fenced } = body as { epoch: number; fenced: boolean };
          return Promise.resolve(`the site is ${fenced ? 'fenced' : 'open'} at epoch ${epoch}\n`);
        }),
      );
  }
}

function target(command: Command): Command {
  return command
    .option(
      '--endpoint <url>',
      'any node of the cluster',
      process.env['MUSTER_STORAGE_ENDPOINT'] ?? 'http://127.0.0.1:9000',
    )
    .option('--user <name>', 'root user (MUSTER_ROOT_USER)')
    .option('--credentials <file>', 'JSON with user and password, as `dev` writes it')
    .option('--region <name>', 'region of the cluster', process.env['MUSTER_REGION'] ?? 'us-east-1')
    .option('--ca <file>', 'authority of the node certificates, for https')
    .option('--json', 'print the answer as JSON');
}

function addStart(group: Command): void {
  group
    .command('start')
    .description(
      'run one node; settings by flags, MUSTER_* variables and --config FILE (--drives, --node, --certs-dir, ...)',
    )
    .allowUnknownOption()
    .helpOption(false)
    .argument('[settings...]')
    .action(async (_settings: string[], _options: unknown, command: Command) => {
      process.argv = [process.argv[0]!, start, ...command.args];
      await import('../storage-node/main.ts');
    });
}

interface DevFlags {
  nodes: string;
  drivesPerNode: string;
  port: string;
  dir: string;
  tls?: boolean;
  plainRpc?: boolean;
}

function addDev(group: Command): void {
  group
    .command('dev')
    .description('run a whole cluster on loopback: one process a node, real certificates between them')
    .option('--nodes <number>', 'how many nodes', '4')
    .option('--drives-per-node <number>', 'how many drives each', '1')
    .option('--port <number>', 'clients reach node i on port + i - 1', '9000')
    .option('--dir <path>', 'where the drives, certificates and credentials lie', '.muster/storage')
    .option('--tls', 'TLS on the ports of clients, too')
    .option('--plain-rpc', 'no TLS between the nodes (for measuring; loopback only)')
    .action(async (flags: DevFlags) => {
      const { startDev } = await import('../storage-node/dev/dev.ts');
      try {
        const cluster = await startDev({
          nodes: whole('--nodes', flags.nodes),
          drivesPerNode: whole('--drives-per-node', flags.drivesPerNode),
          port: whole('--port', flags.port),
          dir: path.resolve(flags.dir),
          tls: flags.tls === true,
          plainRpc: flags.plainRpc === true,
          env: process.env,
          onExit: (node, how) => process.stderr.write(`${node} has ended (${how}); the others go on\n`),
        });
        const { endpoints, credentialsFile, caFile, pids, dir } = cluster;
        process.stdout.write(`${JSON.stringify({ endpoints, credentialsFile, caFile, pids, dir })}\n`);
        await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
        await cluster.stop();
      } catch (error) {
        fail(error);
      }
    });
}

function addCerts(group: Command): void {
  const certs = group.command('certs').description('certificates of the nodes');
  certs
    .command('init')
    .description('make the authority of a cluster')
    .requiredOption('--dir <path>', 'where to write ca.crt and ca.key')
    .option('--cluster-id <name>', 'name of the cluster', 'muster')
    .option('--days <number>', 'validity', '3650')
    .action(async (flags: { dir: string; clusterId: string; days: string }) => {
      const { createClusterCa, writeClusterCa } = await import('../storage-node/rpc/certs.ts');
      attempt(() => {
        if (existsSync(path.join(flags.dir, 'ca.key')))
          throw new Error(`${flags.dir} has an authority already; it is left as it is`);
        mkdirSync(flags.dir, { recursive: true });
        writeClusterCa(flags.dir, createClusterCa({ clusterId: flags.clusterId, days: whole('--days', flags.days) }));
      });
    });
  certs
    .command('issue')
    .description('make a node certificate; a running node takes it up by itself')
    .requiredOption('--ca-dir <path>', 'where ca.crt and ca.key are')
    .requiredOption('--node <host:port>', 'the node, as in the names of the drives')
    .requiredOption('--out <path>', 'where to write ca.crt, node.crt and node.key')
    .option('--cluster-id <name>', 'name of the cluster', 'muster')
    .option('--days <number>', 'validity', '90')
    .action(async (flags: { caDir: string; node: string; out: string; clusterId: string; days: string }) => {
      const { issueNodeCertificate, writeNodeFiles } = await import('../storage-node/rpc/certs.ts');
      attempt(() => {
        const read = (name: string): string => readFileSync(path.join(flags.caDir, name), 'utf8');
        const ca = { certificate: read('ca.crt'), key: read('ca.key') };
        const nodeId = flags.node.replaceAll(':', '-').toLowerCase();
        const hosts = [flags.node.replace(/:\d+$/, '')];
        const node = issueNodeCertificate({
          ca,
          clusterId: flags.clusterId,
          nodeId,
          hosts,
          days: whole('--days', flags.days),
        });
        mkdirSync(flags.out, { recursive: true });
        writeNodeFiles(flags.out, node, [ca.certificate]);
      });
    });
}

async function report(
  options: Target,
  method: 'GET' | 'POST',
  pathAndQuery: string,
  text: (body: unknown) => Promise<string>,
): Promise<void> {
  try {
    const { adminCall } = await import('../storage-node/admin/client.ts');
    const reply = await adminCall(
      { ...account(options), timeoutMs: 3_600_000 },
      method,
      `/muster/admin/v1${pathAndQuery}`,
    );
    if (reply.status >= 400) {
      const { error, message } = reply.body as { error?: string; message?: string };
      throw new Error(`${options.endpoint}: ${error ?? reply.status}: ${message ?? 'no reason given'}`);
    }
    process.stdout.write(options.json === true ? `${JSON.stringify(reply.body, null, 2)}\n` : await text(reply.body));
  } catch (error) {
    fail(error);
  }
}

function account(options: Target): { endpoint: string; user: string; password: string; region: string; ca?: string } {
  const file =
    options.credentials === undefined
      ? undefined
      : (JSON.parse(readFileSync(options.credentials, 'utf8')) as { user: string; password: string });
  const user = options.user ?? file?.user ?? process.env['MUSTER_ROOT_USER'];
  const password = file?.password ?? process.env['MUSTER_ROOT_PASSWORD'];
  if (user === undefined || password === undefined) {
    throw new Error('say who asks: MUSTER_ROOT_USER and MUSTER_ROOT_PASSWORD, or --credentials FILE');
  }
  const ca = options.ca === undefined ? {} : { ca: readFileSync(options.ca, 'utf8') };
  return { endpoint: options.endpoint, user, password, region: options.region, ...ca };
}

function whole(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${flag} must be a whole number, 1 or more, not "${text}"`);
  return value;
}

function attempt(run: () => void): void {
  try {
    run();
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): void {
  process.stderr.write(`muster storage-node: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = exitCodes.usage;
}
