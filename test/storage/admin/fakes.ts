/** A cluster whose drives only say how they are, and the administration over it, asked without a network. */
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type AdminParts, createAdmin } from '../../../storage-node/admin/admin.ts';
import { rootCredentials } from '../../../storage-node/http/credentials.ts';
import { parseRequestLine } from '../../../storage-node/http/request-line.ts';
import { type DriveApi, type DriveStat, DriveUnavailable } from '../../../storage-node/store/drive-api.ts';
import { type DriveHandle, type ErasureSet } from '../../../storage-node/store/set.ts';
import { parseTopology, type Topology } from '../../../storage-node/topology/topology.ts';

/** `gone`: its node does not answer; `hung`: it never does, nor fails. */
export type DriveMode = DriveStat['state'] | 'gone' | 'hung';

export interface FakeCluster {
  topology: Topology;
  sets: ErasureSet[];
  /** By node and number of the drive; `ok` where nothing is said. */
  mode(node: number, drive: number): DriveMode;
  put(mode: DriveMode, node: number, drive?: number): void;
}

export function statOf(state: DriveStat['state']): DriveStat {
  return {
    ...{ driveId: 'id', state, reason: state === 'stopped' ? 'EIO' : undefined, totalBytes: 1000, freeBytes: 400 },
    ...{ indexBytes: 10, segmentBytes: 20, liveBytes: 15, registers: 3, quarantined: 1, undecided: 0 },
  };
}

export function fakeCluster(nodes: number, drivesPerNode = 1, hosts = `node{1...${nodes}}`): FakeCluster {
  const topology = parseTopology([`http://${hosts}:9000/data{1...${drivesPerNode}}`]);
  const modes = new Map<string, DriveMode>();
  const mode: FakeCluster['mode'] = (node, drive) => modes.get(`${node}/${drive}`) ?? 'ok';
  const stat = (node: number, drive: number) => (): Promise<DriveStat> => {
    const now = mode(node, drive);
    if (now === 'hung') return new Promise(() => {});
    if (now === 'gone') return Promise.reject(new DriveUnavailable('the node does not answer'));
    return Promise.resolve(statOf(now));
  };
  const handle = ({ node, drive }: { node: number; drive: number }, position: number): DriveHandle => ({
    ...{ nodeIndex: node, position, local: node === 0, name: `${topology.nodes[node]!.id}/data${drive + 1}` },
    api: { stat: stat(node, drive) } as Partial<DriveApi> as DriveApi,
    health: {
      get suspect() {
        return mode(node, drive) !== 'ok' && mode(node, drive) !== 'full';
      },
      readLatencyMs: 0,
      hedgeAfterMs: () => 0,
    },
  });
  return {
    ...{ topology, mode },
    sets: topology.sets.map(({ index, members }) => ({ index, drives: members.map(handle) })),
    put(now, node, drive) {
      const numbers = drive === undefined ? topology.nodes[node]!.drives.keys() : [drive];
      for (const number of numbers) modes.set(`${node}/${number}`, now);
    },
  };
}

export const account = { accessKey: 'root', secret: 'a secret of the tests' };

/** Parts that throw when one is touched, but for those given. */
export function adminParts(given: Partial<AdminParts>, touched: string[] = []): AdminParts {
  const gate = {
    credentials: rootCredentials(account.accessKey, account.secret),
    region: 'us-east-1',
    nowMs: () => Date.now(),
  };
  return new Proxy({ gate, self: 'node1-9000', ...given } as AdminParts, {
    get(parts, name: keyof AdminParts) {
      if (name !== 'gate') touched.push(name);
      if (!(name in parts)) throw new Error(`${name} was touched`);
      return parts[name];
    },
  });
}

export interface AdminAnswer {
  status: number;
  type: string;
  text: string;
}

/** Asks; undefined when the administration does not know the path. */
export function ask(
  parts: AdminParts,
  asked: { method?: string; url: string; headers?: Record<string, string> },
): Promise<AdminAnswer> | undefined {
  const { method = 'GET', url, headers = {} } = asked;
  const ended: { resolve?: (answer: AdminAnswer) => void; reject?: (error: Error) => void } = {};
  const answered = new Promise<AdminAnswer>((resolve, reject) => Object.assign(ended, { resolve, reject }));
  let status = 0;
  let type = '';
  const socket = { destroy: () => ended.reject!(new Error('the connection was cut')) };
  const request = { method, headers, rawHeaders: Object.entries(headers).flat(), resume: () => {}, socket };
  const response = {
    writeHead(code: number, head: Record<string, string>) {
      status = code;
      type = head['content-type']!;
    },
    end: (text: string) => ended.resolve!({ status, type, text }),
  };
  const taken = createAdmin(parts)(
    request as unknown as IncomingMessage,
    response as unknown as ServerResponse,
    parseRequestLine(url),
  );
  return taken ? answered : undefined;
}
