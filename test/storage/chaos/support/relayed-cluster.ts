import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type S3Client } from '@aws-sdk/client-s3';
import { createClusterCa, issueNodeCertificate, writeNodeFiles } from '../../../../storage-node/rpc/certs.ts';
import { rpcPortOffset } from '../../../../storage-node/topology/topology.ts';
import { portsInARow } from '../../../support/ports.ts';
import { allSeen } from '../../support/all-seen.ts';
import { account, createClient, signal } from './cluster.ts';
import { createNetwork, type Network } from './network.ts';

/** A cluster whose nodes reach each other only through relays. Clients reach every node, whatever becomes of those. */
export interface RelayedCluster extends AsyncDisposable {
  network: Network;
  endpoints: readonly string[];
  pids: readonly number[];
  client(node: number): S3Client;
}

/** Why there can be none here; undefined when there can. */
export function whyNoRelays(): string | undefined {
  if (process.platform === 'linux') return undefined;
  return 'partitions need the many loopback addresses of Linux, and its table of connections';
}

const main = path.join(import.meta.dirname, '..', '..', '..', '..', 'storage-node', 'main.ts');
const clusterId = 'relayed';
/** Where a node is reached, and where it listens. */
const nameOf = (node: number): string => `127.0.3.${node + 1}`;
const homeOf = (node: number): string => `127.0.4.${node + 1}`;

export async function startRelayed(): Promise<RelayedCluster> {
  await using stack = new AsyncDisposableStack();
  const dir = mkdtempSync(path.join(os.tmpdir(), 'muster-relayed-'));
  stack.defer(() => rmSync(dir, { recursive: true, force: true }));
  const nodes = [0, 1, 2, 3];
  const port = await portsInARow(nodes.length, [...nodes.map(nameOf), ...nodes.map(homeOf)]);
  const rpcPort = (node: number): number => port + node + rpcPortOffset;
  const network = await createNetwork(
    nodes.map((node) => ({
      from: { host: nameOf(node), port: rpcPort(node) },
      to: { host: homeOf(node), port: rpcPort(node) },
    })),
  );
  stack.defer(() => network.close());
  const drives = nodes.map((node) => `http://${nameOf(node)}:${port + node}${path.join(dir, `drive${node + 1}`)}`);
  const ids = nodes.map((node) => `${nameOf(node)}-${port + node}`);
  writeCertificates(dir, ids);
  const children = nodes.map((node) => spawnNode({ dir, drives, id: ids[node]!, bind: homeOf(node) }));
  stack.defer(async () => void (await Promise.all(children.map(end))));
  const pids = children.map(({ pid }) => pid!);
  network.setPids(pids);
  const endpoints = nodes.map((node) => `http://${homeOf(node)}:${port + node}`);
  await allSeen(endpoints);
  const owned = stack.move();
  return {
    ...{ network, endpoints, pids },
    client(node) {
      const client = createClient(endpoints[node]!);
      owned.defer(() => client.destroy());
      return client;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function spawnNode(node: { dir: string; drives: string[]; id: string; bind: string }): ChildProcess {
  const { dir, drives, id, bind } = node;
  const names = ['--drives', drives.join(' '), '--node', id, '--cluster-id', clusterId];
  const args = [main, ...names, '--bind', bind, '--certs-dir', path.join(dir, 'certs', id)];
  const env = {
    ...process.env,
    MUSTER_ROOT_USER: account.user,
    MUSTER_ROOT_PASSWORD: account.password,
    MUSTER_LOG_LEVEL: 'error',
  };
  return spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
}

function writeCertificates(dir: string, ids: readonly string[]): void {
  const ca = createClusterCa({ clusterId, days: 2 });
  for (const [node, nodeId] of ids.entries()) {
    const issued = issueNodeCertificate({ ca, clusterId, nodeId, hosts: [nameOf(node)], days: 2 });
    const certs = path.join(dir, 'certs', nodeId);
    mkdirSync(certs, { recursive: true });
    writeNodeFiles(certs, issued, [ca.certificate]);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  signal(child.pid!, 'SIGKILL');
  await gone;
}
