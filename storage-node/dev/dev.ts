import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { homedir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
/** The program of one node. */
export const nodeProgram = path.join(import.meta.dirname, '..', 'main.ts');
const days = 365;
const servingMs = 20_000;

/** Where the nodes of a cluster on one machine listen, and where their drives lie. */
export interface LocalCluster {
  /** Loopback addresses; nodes reach each other on these ports plus 1000. */
  listen: readonly { host: string; port: number }[];
  drivesPerNode: number;
  dir: string;
  tls: boolean;
  plainRpc: boolean;
  account: { user: string; password: string };
}

/** One process to start: what its environment holds besides that of the one who starts it. Holds a secret. */
export interface LocalNode {
  id: string;
  endpoint: string;
  env: Record<string, string>;
}

/** Makes the certificates that are missing and says how to start each node. Starts nothing. */
export function localNodes(cluster: LocalCluster): { nodes: LocalNode[]; caFile: string | undefined } {
  const { dir, drivesPerNode, tls, plainRpc, account } = cluster;
  mkdirSync(dir, { recursive: true });
  // Few addresses and many ports: written out, since ports have no ranges of their own in drive names.
  const names = cluster.listen.flatMap(({ host, port }, i) =>
    Array.from(
      { length: drivesPerNode },
      (_, d) => `http://${host}:${port}${path.resolve(dir, `node${i + 1}`, `drive${d + 1}`)}`,
    ),
  );
  const drives = names.join(' ');
  const { nodes } = parseTopology([drives]);
  const hosts = [...new Set([...cluster.listen.map(({ host }) => host), 'localhost'])];
  const ids = nodes.map(({ id }) => id);
  const ca = plainRpc && !tls ? undefined : certificates(dir, ids, hosts);
  const common = {
    ...{ MUSTER_DRIVES: drives, MUSTER_CLUSTER_ID: clusterId },
    ...{ MUSTER_ROOT_USER: account.user, MUSTER_ROOT_PASSWORD: account.password },
  };
  return {
    caFile: tls ? ca : undefined,
    nodes: nodes.map((node): LocalNode => {
      const certs = path.join(dir, 'certs', node.id);
      const env: Record<string, string> = { ...common, MUSTER_NODE: node.id, MUSTER_BIND: node.host };
      if (plainRpc) env['MUSTER_PLAIN_RPC'] = 'true';
      else env['MUSTER_CERTS_DIR'] = certs;
      if (tls) {
        env['MUSTER_TLS_CERT'] = path.join(certs, certificateFiles.certificate);
        env['MUSTER_TLS_KEY'] = path.join(certs, certificateFiles.key);
      }
      return { id: node.id, endpoint: `${tls ? 'https' : 'http'}://${node.host}:${node.port}`, env };
    }),
  };
}

/** Starts one process a node, with real certificates between them; resolves when all are up. */
export async function startDev(options: DevOptions): Promise<DevCluster> {
  const { dir, port } = options;
  mkdirSync(dir, { recursive: true });
  const account = accountOf(options);
  const listen = Array.from({ length: options.nodes }, (_, i) => ({ host: '127.0.0.1', port: port + i }));
  const { nodes, caFile } = localNodes({ ...options, listen, account });
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(endChild));
  };
  try {
    await Promise.all(
      nodes.map((node) => {
        const child = fork(nodeProgram, [], {
          env: { ...leanEnv(options.env), ...node.env },
          stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
          execArgv: [...leanFlags, ...process.execArgv.filter((flag) => !flag.startsWith('--max-semi'))],
        });
        children.push(child);
        return untilReady(child, node.id);
      }),
    );
    const ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
    await Promise.all(nodes.map(({ endpoint }) => untilServing(endpoint, ca)));
  } catch (error) {
    await stop();
    throw error;
  }
  children.forEach((child, i) => {
    child.on('exit', (code, signal) => options.onExit(nodes[i]!.id, signal ?? `code ${code}`));
  });
  return {
    endpoints: nodes.map(({ endpoint }) => endpoint),
    credentialsFile: account.file,
    caFile,
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

/** A node that is up may not have found the others yet: nobody shall be told to go on before it can write. */
async function untilServing(endpoint: string, ca: string | undefined): Promise<void> {
  const endsAtMs = performance.now() + servingMs;
  while (!(await isReady(endpoint, ca))) {
    if (performance.now() > endsAtMs)
      throw new Error(`${endpoint} is up, but cannot write: see ${endpoint}/health/ready`);
    await sleep(20);
  }
}

/** Whether a node serves now. `ca`: PEM of the authority, for https. */
export function isReady(endpoint: string, ca: string | undefined): Promise<boolean> {
  const get = endpoint.startsWith('https:') ? httpsGet : httpGet;
  return new Promise((resolve) => {
    const asked = get(`${endpoint}/health/ready`, { ca, agent: false, timeout: 2_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on('timeout', () => asked.destroy()).on('error', () => resolve(false));
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
function certificates(dir: string, nodeIds: readonly string[], hosts: readonly string[]): string {
  const certsDir = path.join(dir, 'certs');
  const caFile = path.join(certsDir, certificateFiles.authority);
  const missing = nodeIds.some((id) => !existsSync(path.join(certsDir, id, certificateFiles.key)));
  if (!missing && existsSync(caFile)) return caFile;
  const ca = createClusterCa({ clusterId, days });
  mkdirSync(certsDir, { recursive: true });
  writeClusterCa(certsDir, ca);
  for (const nodeId of nodeIds) {
    const node = issueNodeCertificate({ ca, clusterId, nodeId, hosts: [...hosts], days });
    mkdirSync(path.join(certsDir, nodeId), { recursive: true });
    writeNodeFiles(path.join(certsDir, nodeId), node, [ca.certificate]);
  }
  return caFile;
}
