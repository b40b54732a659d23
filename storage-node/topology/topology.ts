import { posix } from 'node:path';
import { StorageError } from '../errors.ts';
import { setSizes } from '../erasure/geometry.ts';
import { nodeIdOf, parseHostPort, whyNoAddress } from './address.ts';
import { expand } from './expand.ts';

/** A node of the cluster, as the drives' names say. */
export interface TopologyNode {
  /** Place in the order of the names; part of every ballot, so it must never change. */
  index: number;
  /** For certificates and messages: host and port. */
  id: string;
  /** As sockets take it: IPv6 without brackets. */
  host: string;
  /** Clients'. */
  port: number;
  drives: string[];
}

export interface TopologySet {
  index: number;
  /** By place in the set: node and number of the drive on it. */
  members: { node: number; drive: number }[];
}

export interface Topology {
  nodes: TopologyNode[];
  sets: TopologySet[];
  /** All drives on one machine: development, a lost machine loses everything. */
  singleMachine: boolean;
}

/** Nodes speak with each other on the port clients use, and so much more. */
export const rpcPortOffset = 1000;

/**
 * The cluster that names of drives describe: `http://node{1...4}:9000/data{1...4}` or `/data{1...4}`.
 * @throws StorageError InvalidArgument with the arithmetic, when they cannot be cut into sets.
 */
export function parseTopology(patterns: readonly string[]): Topology {
  const names = patterns.flatMap((one) => one.split(/[\s,]+/).filter((part) => part !== '')).flatMap(expand);
  if (names.length === 0) throw refused('no drives are named');
  const local = names.filter((name) => name.startsWith('/'));
  if (local.length === names.length) {
    refuseDoubled(names, (name) => posix.resolve(name));
    return singleMachine(names);
  }
  if (local.length > 0) throw refused(`${local[0]} names no node while others do`);
  refuseDoubled(names, (name) => {
    const { host, port, path } = parseUrl(name);
    return `${nodeIdOf({ host, port })}${posix.resolve(path)}`;
  });
  return manyNodes(names);
}

/** Two names of one drive would put two shards on it, or start a node that finds the directory taken. */
function refuseDoubled(names: readonly string[], driveOf: (name: string) => string): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const drive = driveOf(name);
    const before = seen.get(drive);
    if (before === name) throw refused(`${name} is named twice`);
    if (before !== undefined) throw refused(`${name} and ${before} are one drive, named twice`);
    seen.set(drive, name);
  }
}

function singleMachine(drives: string[]): Topology {
  const size = largestSize(drives.length);
  if (size === undefined) {
    throw refused(`${drives.length} drives cannot be cut into sets of 4, 8, 12 or 16; ${nearest(drives.length)} can`);
  }
  const sets = Array.from({ length: drives.length / size }, (_, index): TopologySet => ({
    index,
    members: Array.from({ length: size }, (_unused, i) => ({ node: 0, drive: index * size + i })),
  }));
  const node = { index: 0, id: 'localhost', host: '127.0.0.1', port: 9000, drives };
  return { nodes: [node], sets, singleMachine: true };
}

function manyNodes(names: readonly string[]): Topology {
  const nodes = new Map<string, TopologyNode>();
  for (const name of names) {
    const { host, port, path } = parseUrl(name);
    const id = nodeIdOf({ host, port });
    const node = nodes.get(id) ?? { index: nodes.size, id, host, port, drives: [] };
    node.drives.push(path);
    nodes.set(id, node);
  }
  const all = [...nodes.values()];
  const perNode = all[0]!.drives.length;
  const uneven = all.find(({ drives }) => drives.length !== perNode);
  if (uneven !== undefined) {
    throw refused(
      `${all[0]!.id} has ${perNode} drives and ${uneven.id} has ${uneven.drives.length}; all nodes need as many`,
    );
  }
  const size = largestSize(all.length);
  if (size === undefined) {
    const facts = `${all.length} nodes with ${perNode} drives each: a set takes one drive each of 4, 8, 12 or 16 nodes`;
    throw refused(`${facts}, and none of these divides ${all.length}; ${nearest(all.length)} nodes would do`);
  }
  const groups = all.length / size;
  const sets = Array.from({ length: groups * perNode }, (_, index): TopologySet => {
    const group = Math.floor(index / perNode);
    const drive = index % perNode;
    return { index, members: Array.from({ length: size }, (_unused, i) => ({ node: group * size + i, drive })) };
  });
  return { nodes: all, sets, singleMachine: false };
}

function parseUrl(name: string): { host: string; port: number; path: string } {
  const [, authority = '', path = ''] = /^https?:\/\/([^/]+)(\/\S+)$/.exec(name) ?? [];
  const at = parseHostPort(authority);
  if (at === undefined)
    throw refused(`${name} is no drive such as http://node1.example.com:9000/data1${whyNoAddress(authority)}`);
  if (at.port < 1 || at.port + rpcPortOffset > 65_535)
    throw refused(`${name}: the port must be 1..${65_535 - rpcPortOffset}, nodes use it plus ${rpcPortOffset}`);
  return { ...at, path };
}

function largestSize(count: number): number | undefined {
  return [...setSizes].reverse().find((size) => count % size === 0 && count >= size);
}

function nearest(count: number): string {
  const below = Math.floor(count / 4) * 4;
  return below === 0 ? '4' : `${below} or ${below + 4}`;
}

function refused(why: string): StorageError {
  return new StorageError('InvalidArgument', `drives: ${why}`);
}
