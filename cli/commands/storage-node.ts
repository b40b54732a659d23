import type { Command } from 'commander';
import { storageAction } from '../storage-node/action.ts';

/** `muster storage-node ...`: the bundled storage cluster. */
export function addStorageNode(program: Command): void {
  const group = program.command('storage-node').description('the bundled S3 and OSS storage cluster');
  addStart(group);
  addDev(group);
  addCerts(group);
  target(group.command('status').description('what each set can do now, and how many more drives may fail')).action(
    storageAction(async () => (await import('../storage-node/admin.ts')).status),
  );
  target(group.command('heal').description('recount every set, heal what is short, and prove it by counting again'))
    .option('--verify', 'also read and verify every block')
    .option('--set <number>', 'only this set')
    .option('--no-wait', 'do not wait for the end')
    .action(storageAction(async () => (await import('../storage-node/admin.ts')).heal));
  for (const [name, what] of [
    ['fence', 'refuse all writes of clients, under a new site epoch'],
    ['unfence', 'accept writes again, under a new site epoch'],
  ] as const) {
    target(group.command(name).description(what))
      .requiredOption('--epoch <number>', 'the new site epoch; must be above the present one')
      .action(storageAction(async () => (await import('../storage-node/admin.ts')).setFence(name)));
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
      const { start } = await import('../storage-node/start.ts');
      await start(command.args);
    });
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
    .action(storageAction(async () => (await import('../storage-node/dev.ts')).dev));
}

function addCerts(group: Command): void {
  const certs = group.command('certs').description('certificates of the nodes');
  certs
    .command('init')
    .description('make the authority of a cluster')
    .requiredOption('--dir <path>', 'where to write ca.crt and ca.key')
    .option('--cluster-id <name>', 'name of the cluster', 'muster')
    .option('--days <number>', 'validity', '3650')
    .action(storageAction(async () => (await import('../storage-node/certs.ts')).initAuthority));
  certs
    .command('issue')
    .description('make a node certificate; a running node takes it up by itself')
    .requiredOption('--ca-dir <path>', 'where ca.crt and ca.key are')
    .requiredOption('--node <host:port>', 'the node, as in the names of the drives')
    .requiredOption('--out <path>', 'where to write ca.crt, node.crt and node.key')
    .option('--cluster-id <name>', 'name of the cluster', 'muster')
    .option('--days <number>', 'validity', '90')
    .action(storageAction(async () => (await import('../storage-node/certs.ts')).issueCertificate));
}
