import { hostname, networkInterfaces } from 'node:os';
import { StorageError } from './errors.ts';
import { checkCerts, clientTls } from './node-security.ts';
import { numberSettings, type SettingName, type Settings } from './setting-names.ts';
import { decimal, domainNames, listenHost, whyNoUser, yesOrNo } from './setting-values.ts';
import { checkSettings } from './settings-file.ts';
import { readSettings, type SettingsReader } from './settings.ts';
import { hostInUrl, nodeIdNamed, whyNoAddress } from './topology/address.ts';
import { parseTopology, type Topology, type TopologyNode } from './topology/topology.ts';

export { type SettingName, settingNames, type Settings } from './setting-names.ts';

/** Settings of a node, from flags, environment and file, in this order. */
export interface NodeConfig {
  topology: Topology;
  /** This node, its host as it stands in a URL: IPv6 in brackets. */
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

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];
const bytesPerMiB = 1024 * 1024;

/**
 * @param file what the settings file holds, unchecked
 * @param fileName its path, for messages
 * @throws StorageError InvalidArgument naming everything that is wrong at once, never a secret.
 */
export function loadConfig(
  flags: Settings,
  env: NodeJS.ProcessEnv,
  file: unknown = {},
  fileName = 'the settings file',
): NodeConfig {
  const settings = readSettings(flags, env, checkSettings(file, fileName));
  const { topology, self } = nodesOf(settings);
  const config = {
    ...accountOf(settings),
    ...securityOf(settings, topology),
    tls: clientTls(settings),
    logLevel: logLevelOf(settings),
    region: textOf(settings, 'region', 'us-east-1'),
    clusterId: textOf(settings, 'clusterId', 'muster'),
    bindHost: bindHostOf(settings, self),
    domains: domainsOf(settings),
    reserveBytes: Math.round(numberOf(settings, 'reserve') * bytesPerMiB),
    healBytesPerSecond: Math.round(numberOf(settings, 'healRate') * bytesPerMiB),
    scrubEveryHours: numberOf(settings, 'scrubHours'),
  };
  const { problems } = settings;
  if (problems.length > 0 || topology === undefined || self === undefined) {
    throw new StorageError(
      'InvalidArgument',
      `the settings are not right:\n${problems.map((one) => `  - ${one}`).join('\n')}`,
    );
  }
  return { ...config, topology, self: { ...self, host: hostInUrl(self.host) } };
}

function nodesOf(settings: SettingsReader): { topology: Topology | undefined; self: TopologyNode | undefined } {
  const drives = settings.of('drives');
  if (drives === undefined)
    settings.tell('drives', "is missing, e.g. --drives 'http://node{1...4}.example.com:9000/data{1...4}'");
  const topology = drives === undefined ? undefined : settings.attempt(() => parseTopology([drives]));
  if (topology === undefined || settings.unread('node')) return { topology, self: undefined };
  return { topology, self: settings.attempt(() => findSelf(topology, settings.of('node'))) };
}

function accountOf(settings: SettingsReader): { rootUser: string; rootPassword: string } {
  const rootUser = settings.of('rootUser') ?? '';
  const rootPassword = settings.of('rootPassword') ?? '';
  const wrong = whyNoUser(rootUser);
  if (wrong !== undefined) settings.tell('rootUser', wrong);
  if (rootPassword.length < 8) settings.tell('rootPassword', 'must be set, at least 8 characters; there is no default');
  return { rootUser, rootPassword };
}

function securityOf(
  settings: SettingsReader,
  topology: Topology | undefined,
): { plainRpc: boolean; certsDir: string | undefined } {
  const plainRpc = settings.unread('plainRpc') ? undefined : yesOrNo(settings.of('plainRpc') ?? 'no');
  if (plainRpc === undefined) settings.tell('plainRpc', 'must be true or false');
  const certsDir = settings.of('certsDir');
  const alone = topology?.nodes.length === 1;
  if (plainRpc === false && certsDir !== undefined) checkCerts(settings, certsDir);
  if (plainRpc === false && certsDir === undefined && !alone) {
    const how = 'make certificates with `muster storage-node certs`';
    settings.tell('certsDir', `is missing: nodes speak over mutual TLS; ${how}`);
  }
  if (plainRpc === true && topology?.nodes.every(({ host }) => isLoopback(host)) === false)
    settings.tell('plainRpc', 'works only where every node has a loopback address');
  return { plainRpc: plainRpc ?? false, certsDir };
}

function logLevelOf(settings: SettingsReader): string {
  const level = settings.of('logLevel') ?? 'info';
  if (!logLevels.includes(level)) settings.tell('logLevel', `must be one of ${logLevels.join(', ')}`);
  return level;
}

function textOf(settings: SettingsReader, name: SettingName, otherwise: string): string {
  const text = settings.of(name) ?? otherwise;
  if (text === '') settings.tell(name, `is empty: give a value, or leave it away for ${otherwise}`);
  return text;
}

/** Where the node's own address is one of this machine only, or of IPv6, it listens accordingly. */
function bindHostOf(settings: SettingsReader, self: TopologyNode | undefined): string {
  const text = settings.of('bind');
  if (text === undefined) {
    if (self === undefined) return '';
    if (isLoopback(self.host)) return self.host;
    return self.host.includes(':') ? '::' : '0.0.0.0';
  }
  const host = listenHost(text);
  if (host === undefined)
    settings.tell(
      'bind',
      'must be an address or a host name alone, such as 10.0.0.1 or ::; ports come from the drives',
    );
  return host ?? '';
}

function domainsOf(settings: SettingsReader): string[] {
  const { names, wrong } = domainNames(settings.of('domains') ?? '');
  if (wrong.length > 0) {
    const shown = wrong.map((one) => JSON.stringify(one)).join(', ');
    settings.tell('domains', `must be DNS names with commas between, such as s3.example.com, and ${shown} is none`);
  }
  return names;
}

function numberOf(settings: SettingsReader, name: keyof typeof numberSettings): number {
  const { unit, from, to, usual } = numberSettings[name];
  const text = settings.of(name);
  if (text === undefined) return usual;
  const value = decimal(text, { from, to });
  if (value === undefined)
    settings.tell(name, `must be a plain number of ${unit} from ${from} to ${to}, such as ${usual}`);
  return value ?? usual;
}

/** @param host with or without the brackets of IPv6 */
export function isLoopback(host: string): boolean {
  return ['localhost', '::1', '[::1]'].includes(host) || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Which of the nodes this process is. @throws StorageError when that is not clear. */
function findSelf(topology: Topology, named: string | undefined): TopologyNode {
  const ids = topology.nodes.map(({ id }) => id).join(', ');
  if (named !== undefined) {
    const id = nodeIdNamed(named);
    const found = topology.nodes.find((node) => node.id === id);
    if (found !== undefined) return found;
    throw new StorageError('InvalidArgument', `--node ${named} is none of the nodes: ${ids}${whyNoAddress(named)}`);
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
