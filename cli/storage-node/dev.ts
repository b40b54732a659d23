import path from 'node:path';
import { startDev } from '../../storage-node/dev/dev.ts';
import { whole } from './values.ts';

interface DevFlags {
  nodes: string;
  drivesPerNode: string;
  port: string;
  dir: string;
  tls?: boolean;
  plainRpc?: boolean;
}

/** `muster storage-node dev`: until Ctrl-C. */
export async function dev(flags: DevFlags): Promise<void> {
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
}
