import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import {
  certificateFiles,
  createClusterCa,
  issueNodeCertificate,
  writeClusterCa,
  writeNodeFiles,
} from '../rpc/certs.ts';
import { parseTopology } from '../topology/topology.ts';

export interface DevOptions {
  nodes: number;
  drivesPerNode: number;
  port: number;
  dir: string;
  /** TLS on the clients' ports, too. */
  tls: boolean;
  /** No TLS between the nodes: for measuring. */
  plainRpc: boolean;
  env: NodeJS.ProcessEnv;
  /** Told when a node ends by itself. */
  onExit: (node: string, how: string) => void;
}

/** A whole cluster on loopback. */
export interface DevCluster {
  endpoints: string[];
  credentialsFile: string;
  /** The authority of the clients' certificates, with `tls`. */
  caFile: string | undefined;
  pids: number[];
  dir: string;
  stop(): Promise<void>;
}

const clusterId = 'dev';
const main = path.join(import.meta.dirname, '..', 'main.ts');
const days = 365;

/** Starts one process a node, with real certificates between them; resolves when all are up. */
export async function startDev(options: DevOptions): Promise<DevCluster> {
  const { dir, port } = options;
  const last = port + options.nodes - 1;
  mkdirSync(dir, { recursive: true });
  // One loopback address and many ports: written out, since ports have no ranges of their own in drive names.
  const names = Array.from({ length: options.nodes }, (_, i) =>
    Array.from(
      { length: options.drivesPerNode },
      (_unused, d) => `http://127.0.0.1:${port + i}${path.resolve(dir, `node${i + 1}`, `drive${d + 1}`)}`,
    ),
  ).flat();
  const drives = names.join(' ');
  const { nodes } = parseTopology([drives]);
  const account = accountOf(options);
  const certs =
    options.plainRpc && !options.tls
      ? undefined
      : certificates(
          dir,
          nodes.map(({ id }) => id),
        );
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(endChild));
  };
  try {
    await Promise.all(
      nodes.map((node) => {
        const nodeCerts = path.join(dir, 'certs', node.id);
        const args = ['--drives', drives, '--node', node.id, '--cluster-id', clusterId, '--bind', '127.0.0.1'];
        if (options.plainRpc) args.push('--plain-rpc', 'true');
        else args.push('--certs-dir', nodeCerts);
        if (options.tls)
          args.push(
            '--tls-cert',
            path.join(nodeCerts, certificateFiles.certificate),
            '--tls-key',
            path.join(nodeCerts, certificateFiles.key),
          );
        const child = fork(main, args, {
          env: { ...leanEnv(options.env), MUSTER_ROOT_USER: account.user, MUSTER_ROOT_PASSWORD: account.password },
          stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
          execArgv: [...leanFlags, ...process.execArgv.filter((flag) => !flag.startsWith('--max-semi'))],
        });
        children.push(child);
        return untilReady(child, node.id);
      }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  children.forEach((child, i) => {
    child.on('exit', (code, signal) => options.onExit(nodes[i]!.id, signal ?? `code ${code}`));
  });
  const scheme = options.tls ? 'https' : 'http';
  return {
    endpoints: Array.from({ length: last - port + 1 }, (_, i) => `${scheme}://127.0.0.1:${port + i}`),
    credentialsFile: account.file,
    caFile: options.tls ? certs : undefined,
    pids: children.map(({ pid }) => pid!),
    dir,
    stop,
  };
}

/** A young generation and a thread pool of V8 that suit a process whose bulk lies outside the heap. */
const leanFlags = ['--max-semi-space-size=2', '--v8-pool-size=2'];

/**
 * Two arenas of the C library instead of one a thread, and compiled code from the user's cache: together 35 MiB less for
 * an idle node (measured 120 and 83).
 */
function leanEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const cache = env['MUSTER_CACHE'] ?? path.join(homedir(), '.cache', 'muster');
  return { MALLOC_ARENA_MAX: '2', NODE_COMPILE_CACHE: path.join(cache, 'compiled'), ...env };
}

function untilReady(child: ChildProcess, node: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('message', () => {
      child.off('exit', gone);
      resolve();
    });
    const gone = (code: number | null): void => reject(new Error(`${node} ended with code ${code} before it was up`));
    child.once('exit', gone);
  });
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.removeAllListeners('exit');
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  // One that was stopped cannot hear SIGTERM.
  child.kill('SIGCONT');
  const hard = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(hard);
}

/** The root account: from the environment, from an earlier start, or made up. Kept where only the owner can read it. */
function accountOf({ dir, env }: DevOptions): { user: string; password: string; file: string } {
  const file = path.join(dir, 'credentials.json');
  const known = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { user: string; password: string })
    : undefined;
  const user = env['MUSTER_ROOT_USER'] ?? known?.user ?? 'muster';
  const password = env['MUSTER_ROOT_PASSWORD'] ?? known?.password ?? randomBytes(18).toString('base64url');
  writeFileSync(file, `${JSON.stringify({ user, password }, null, 2)}\n`, { mode: 0o600 });
  return { user, password, file };
}

/** Makes what certificates are missing. @returns the file with the authority. */
function certificates(dir: string, nodeIds: readonly string[]): string {
  const certsDir = path.join(dir, 'certs');
  const caFile = path.join(certsDir, certificateFiles.authority);
  const missing = nodeIds.some((id) => !existsSync(path.join(certsDir, id, certificateFiles.key)));
  if (!missing && existsSync(caFile)) return caFile;
  const ca = createClusterCa({ clusterId, days });
  mkdirSync(certsDir, { recursive: true });
  writeClusterCa(certsDir, ca);
  for (const nodeId of nodeIds) {
    const node = issueNodeCertificate({ ca, clusterId, nodeId, hosts: ['127.0.0.1', 'localhost'], days });
    mkdirSync(path.join(certsDir, nodeId), { recursive: true });
    writeNodeFiles(path.join(certsDir, nodeId), node, [ca.certificate]);
  }
  return caFile;
}
