import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Command } from 'commander';
import { readText } from '../storage-node/text-file.ts';
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
      const { configFromArgs } = await import('../storage-node/command-line.ts');
      // Wrong settings are refused before the program is loaded, as by every other command.
      if (!attempt(() => void configFromArgs(command.args, process.env))) return;
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
          nodes: whole('--nodes', flags.nodes, 1_000),
          drivesPerNode: whole('--drives-per-node', flags.drivesPerNode, 1_000),
          port: whole('--port', flags.port, 64_535),
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
        writeClusterCa(
          flags.dir,
          createClusterCa({ clusterId: flags.clusterId, days: whole('--days', flags.days, longestDays) }),
        );
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
      const { certificateFiles, issueNodeCertificate, writeNodeFiles } = await import('../storage-node/rpc/certs.ts');
      const { nodeIdOf, parseHostPort, whyNoAddress } = await import('../storage-node/topology/address.ts');
      attempt(() => {
        const at = parseHostPort(flags.node);
        if (at === undefined)
          throw new Error(`--node must be HOST:PORT as in the names of the drives${whyNoAddress(flags.node)}`);
        const ca = {
          certificate: readPem('--ca-dir', path.join(flags.caDir, certificateFiles.authority), parseCertificate),
          key: readPem('--ca-dir', path.join(flags.caDir, certificateFiles.authorityKey), createPrivateKey),
        };
        const days = whole('--days', flags.days, longestDays);
        const named = { clusterId: flags.clusterId, nodeId: nodeIdOf(at), hosts: [at.host] };
        const node = issueNodeCertificate({ ca, ...named, days });
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
  const file = options.credentials === undefined ? undefined : credentialsIn(options.credentials);
  const user = options.user ?? file?.user ?? process.env['MUSTER_ROOT_USER'];
  const password = file?.password ?? process.env['MUSTER_ROOT_PASSWORD'];
  if (user === undefined || password === undefined) {
    throw new Error('say who asks: MUSTER_ROOT_USER and MUSTER_ROOT_PASSWORD, or --credentials FILE');
  }
  const ca = options.ca === undefined ? {} : { ca: readPem('--ca', options.ca, parseCertificate) };
  return { endpoint: endpointOf(options), user, password, region: options.region, ...ca };
}

/** Without a protocol Node would take `node1:` of `node1:9000` for one and ask this machine. */
function endpointOf({ endpoint }: Target): string {
  if (/^https?:\/\//i.test(endpoint) && URL.canParse(endpoint)) return endpoint;
  throw new Error(
    `--endpoint (MUSTER_STORAGE_ENDPOINT) must be a URL such as http://node1:9000 or http://[::1]:9000, not "${endpoint}"`,
  );
}

/** Says nothing of what is in the file: the parser's own message would quote it. */
function credentialsIn(file: string): { user: string; password: string } {
  const text = readNamed('--credentials', file);
  try {
    const { user, password } = JSON.parse(text) as Record<string, unknown>;
    if (typeof user === 'string' && typeof password === 'string') return { user, password };
  } catch {
    // It is said below.
  }
  throw new Error(`--credentials names ${file}, which is no JSON such as {"user": "…", "password": "…"}`);
}

/** @param parse throws for what is no such PEM; its message would name neither the flag nor the file */
function readPem(flag: string, file: string, parse: (pem: string) => unknown): string {
  const text = readNamed(flag, file);
  try {
    parse(text);
    return text;
  } catch {
    throw new Error(`${flag} names ${file}, which does not hold what it should in PEM (-----BEGIN …)`);
  }
}

const parseCertificate = (pem: string): X509Certificate => new X509Certificate(pem);

function readNamed(flag: string, file: string): string {
  const read = readText(file);
  if ('text' in read) return read.text;
  throw new Error(`${flag} names ${file}, which ${read.why}`);
}

const longestDays = 36_500;

function whole(flag: string, text: string, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most) throw new Error(`${flag} must be a whole number from 1 to ${most}, not "${text}"`);
  return value;
}

/** @returns whether it went well; what went wrong is said. */
function attempt(run: () => void): boolean {
  try {
    run();
    return true;
  } catch (error) {
    fail(error);
    return false;
  }
}

function fail(error: unknown): void {
  process.stderr.write(`muster storage-node: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = exitCodes.usage;
}
