import { existsSync, readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { parseTopology, type Topology, type TopologyNode } from './topology/topology.ts';
import { StorageError } from './errors.ts';

/** Settings of a node, from flags, environment and file, in this order. */
export interface NodeConfig {
  topology: Topology;
  self: TopologyNode;
  rootUser: string;
  rootPassword: string;
  region: string;
  /** Certificates for the other nodes: ca.crt, node.crt, node.key. Undefined with plain RPC. */
  certsDir: string | undefined;
  plainRpc: boolean;
  clusterId: string;
  /** TLS towards clients. */
  tls: { cert: string; key: string } | undefined;
  /** Address that clients' and nodes' ports are bound to. */
  bindHost: string;
  domains: string[];
  reserveBytes: number;
  healBytesPerSecond: number;
  scrubEveryHours: number;
  logLevel: string;
}

/** Every setting: its flag, its name in the environment, and what it is when nobody says. */
export const settingNames = {
  drives: 'MUSTER_DRIVES',
  node: 'MUSTER_NODE',
  rootUser: 'MUSTER_ROOT_USER',
  rootPassword: 'MUSTER_ROOT_PASSWORD',
  region: 'MUSTER_REGION',
  certsDir: 'MUSTER_CERTS_DIR',
  plainRpc: 'MUSTER_PLAIN_RPC',
  clusterId: 'MUSTER_CLUSTER_ID',
  tlsCert: 'MUSTER_TLS_CERT',
  tlsKey: 'MUSTER_TLS_KEY',
  bind: 'MUSTER_BIND',
  domains: 'MUSTER_DOMAINS',
  reserve: 'MUSTER_RESERVE_MIB',
  healRate: 'MUSTER_HEAL_MIB_PER_SECOND',
  scrubHours: 'MUSTER_SCRUB_HOURS',
  logLevel: 'MUSTER_LOG_LEVEL',
} as const;

export type SettingName = keyof typeof settingNames;
export type Settings = Partial<Record<SettingName, string>>;

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

/** @throws StorageError InvalidArgument naming everything that is wrong at once, never a secret. */
export function loadConfig(flags: Settings, env: NodeJS.ProcessEnv, file: Settings = {}): NodeConfig {
  const problems: string[] = [];
  const of = (name: SettingName): string | undefined =>
    flags[name] ?? fromEnv(env, settingNames[name], problems) ?? file[name];
  const called = (name: SettingName): string =>
    `--${name.replace(/[A-Z]/g, (char) => `-${char.toLowerCase()}`)} (${settingNames[name]})`;
  const number = (name: SettingName, fallback: number): number => {
    const text = of(name);
    const value = text === undefined ? fallback : Number(text);
    if (!(value >= 0)) problems.push(`${called(name)} must be a number, 0 or more`);
    return value;
  };
  const attempt = <T>(run: () => T): T | undefined => {
    try {
      return run();
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  const drives = of('drives');
  if (drives === undefined)
    problems.push(`${called('drives')} is missing, e.g. --drives 'http://node{1...4}.example.com:9000/data{1...4}'`);
  const topology = drives === undefined ? undefined : attempt(() => parseTopology([drives]));
  const self = topology === undefined ? undefined : attempt(() => findSelf(topology, of('node')));
  const rootUser = of('rootUser') ?? '';
  const rootPassword = of('rootPassword') ?? '';
  if (rootUser.length < 3)
    problems.push(`${called('rootUser')} must be set, at least 3 characters; there is no default`);
  if (rootPassword.length < 8)
    problems.push(`${called('rootPassword')} must be set, at least 8 characters; there is no default`);
  const plainRpc = ['1', 'true', 'yes'].includes(of('plainRpc') ?? '');
  const certsDir = of('certsDir');
  const alone = topology?.nodes.length === 1;
  if (!plainRpc && certsDir === undefined && !alone) {
    problems.push(
      `${called('certsDir')} is missing: nodes speak over mutual TLS; make certificates with \`muster storage-node certs\``,
    );
  }
  if (plainRpc && topology !== undefined && !topology.nodes.every(({ host }) => isLoopback(host))) {
    problems.push(`${called('plainRpc')} works only where every node has a loopback address`);
  }
  const tls = attempt(() => tlsFrom(of('tlsCert'), of('tlsKey')));
  const logLevel = of('logLevel') ?? 'info';
  if (!logLevels.includes(logLevel)) problems.push(`${called('logLevel')} must be one of ${logLevels.join(', ')}`);
  const config = {
    ...{ rootUser, rootPassword, certsDir, plainRpc, tls, logLevel },
    region: of('region') ?? 'us-east-1',
    clusterId: of('clusterId') ?? 'muster',
    bindHost: of('bind') ?? (self !== undefined && isLoopback(self.host) ? self.host : '0.0.0.0'),
    domains: (of('domains') ?? '').split(',').filter((name) => name !== ''),
    reserveBytes: number('reserve', 512) * 1024 * 1024,
    healBytesPerSecond: number('healRate', 200) * 1024 * 1024,
    scrubEveryHours: number('scrubHours', 24 * 7),
  };
  if (problems.length > 0 || topology === undefined || self === undefined) {
    throw new StorageError(
      'InvalidArgument',
      `the settings are not right:\n${problems.map((one) => `  - ${one}`).join('\n')}`,
    );
  }
  return { ...config, topology, self };
}

/** A variable, or the content of the file that `NAME_FILE` names. */
function fromEnv(env: NodeJS.ProcessEnv, name: string, problems: string[]): string | undefined {
  const value = env[name];
  if (value !== undefined && value !== '') return value;
  const file = env[`${name}_FILE`];
  if (file === undefined) return undefined;
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  problems.push(`${name}_FILE names ${file}, which is not there`);
  return undefined;
}

function tlsFrom(certFile: string | undefined, keyFile: string | undefined): NodeConfig['tls'] {
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new StorageError('InvalidArgument', 'TLS for clients needs both --tls-cert and --tls-key');
  }
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Which of the nodes this process is. @throws StorageError when that is not clear. */
function findSelf(topology: Topology, named: string | undefined): TopologyNode {
  const ids = topology.nodes.map(({ id }) => id).join(', ');
  if (named !== undefined) {
    const id = named.replace(':', '-').toLowerCase();
    const found = topology.nodes.find((node) => node.id === id);
    if (found === undefined) throw new StorageError('InvalidArgument', `--node ${named} is none of the nodes: ${ids}`);
    return found;
  }
  if (topology.nodes.length === 1) return topology.nodes[0]!;
  const own = new Set([
    hostname(),
    ...Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
  ]);
  const here = topology.nodes.filter(({ host }) => own.has(host) || own.has(host.split('.')[0]!));
  if (here.length === 1) return here[0]!;
  const why = here.length === 0 ? 'none of the nodes is this machine' : 'several of the nodes are this machine';
  throw new StorageError('InvalidArgument', `${why}; say which with --node HOST:PORT, one of: ${ids}`);
}
