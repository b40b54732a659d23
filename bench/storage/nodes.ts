import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { adminCall } from '../../storage-node/admin/client.ts';
import { isReady, localNodes, nodeProgram } from '../../storage-node/dev/dev.ts';
import { type HealTotals, type SetHealStatus } from '../../storage-node/heal/healer.ts';
import { atEnd } from './lifetime.ts';
import { isFree, type Target } from './targets.ts';

/** Four nodes as `muster storage-node dev` starts them (and so `startMuster`), each of which can be ended alone. */
export interface LocalNodes extends Target {
  /** Directory of a node's only drive. */
  drive(node: number): string;
  /** Of those that run. */
  readonly pids: number[];
  runs(node: number): boolean;
  pidOf(node: number): number;
  /** Starts these nodes at the same time. @returns for each the milliseconds until it first said to be ready */
  start(nodes: readonly number[]): Promise<number[]>;
  end(nodes: readonly number[], signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  heal(node: number): Promise<{ sets: SetHealStatus[]; totals: HealTotals }>;
  /** Has a node recount; does not wait for it. */
  recount(node: number): Promise<void>;
}

export const allNodes: readonly number[] = [0, 1, 2, 3];
/** The cluster that `localNodes` names in its drives' formats. */
export const clusterId = 'dev';
const account = { user: 'bench-root', password: 'bench-secret-0123456789' };
const readyWithinMs = 120_000;
/** As `muster storage-node dev` gives them to its nodes. */
const leanFlags = ['--max-semi-space-size=2', '--v8-pool-size=2'];
const leanEnv = {
  MALLOC_ARENA_MAX: '2',
  NODE_COMPILE_CACHE: path.join(process.env['MUSTER_CACHE'] ?? path.join(homedir(), '.cache', 'muster'), 'compiled'),
};

export function driveOf(dir: string, node: number): string {
  return path.join(dir, `node${node + 1}`, 'drive1');
}

/** @param env settings of the nodes, such as MUSTER_HEAL_MIB_PER_SECOND. Starts nothing yet. */
export async function prepareNodes(dir: string, tls: boolean, env: Record<string, string> = {}): Promise<LocalNodes> {
  mkdirSync(dir, { recursive: true });
  const port = await freePorts(allNodes.length);
  const listen = allNodes.map((i) => ({ host: '127.0.0.1', port: port + i }));
  const { nodes, caFile } = localNodes({ listen, drivesPerNode: 1, dir, tls, plainRpc: !tls, account });
  const ca = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  const running = new Map<number, ChildProcess>();
  const startOne = async (i: number): Promise<number> => {
    const node = nodes[i]!;
    const beganAt = performance.now();
    const child = fork(nodeProgram, [], {
      env: { ...process.env, ...leanEnv, MUSTER_LOG_LEVEL: 'error', ...node.env, ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: leanFlags,
    });
    running.set(i, child);
    child.once('exit', (code, signal) => {
      if (running.get(i) === child) process.stderr.write(`${node.id} has ended by itself (${signal ?? code})\n`);
    });
    while (!(await isReady(node.endpoint, ca))) {
      const how = child.signalCode ?? child.exitCode;
      if (how !== null) throw new Error(`${node.id} ended with ${how} before it was ready`);
      if (performance.now() - beganAt > readyWithinMs)
        throw new Error(`${node.id} is not ready after ${readyWithinMs} ms`);
      await sleep(20);
    }
    return performance.now() - beganAt;
  };
  const end: LocalNodes['end'] = async (which, signal) => {
    await Promise.all(
      which.map(async (i) => {
        const child = running.get(i);
        running.delete(i);
        if (child !== undefined) await endChild(child, signal);
      }),
    );
  };
  const admin = async (node: number, method: 'GET' | 'POST', what: string): Promise<unknown> => {
    const at = {
      endpoint: nodes[node]!.endpoint,
      ...account,
      region: 'us-east-1',
      ...(ca === undefined ? {} : { ca }),
    };
    const { status, body } = await adminCall(at, method, `/muster/admin/v1/${what}`);
    if (status >= 400) throw new Error(`${method} ${what}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  const stop = (): Promise<void> => end(allNodes, 'SIGTERM');
  atEnd(stop);
  return {
    ...{ name: 'muster', tls, accessKey: account.user, secretKey: account.password },
    endpoints: nodes.map(({ endpoint }) => endpoint),
    drive: (node) => driveOf(dir, node),
    get pids() {
      return allNodes.flatMap((node) => running.get(node)?.pid ?? []);
    },
    runs: (node) => running.has(node),
    pidOf: (node) => running.get(node)!.pid!,
    start: (which) => Promise.all(which.map(startOne)),
    end,
    heal: async (node) => (await admin(node, 'GET', 'heal')) as { sets: SetHealStatus[]; totals: HealTotals },
    recount: async (node) => void (await admin(node, 'POST', 'heal?wait=false')),
    stop,
  };
}

/**
 * Waits until a pass that began after `sinceMs` (Unix milliseconds) says that the only set is whole.
 * @returns that pass, and how many had to be asked for because those before found something short
 */
export async function untilWhole(
  cluster: LocalNodes,
  sinceMs: number,
  onLook: (looked: { sets: SetHealStatus[]; totals: HealTotals }[]) => void = () => {},
): Promise<{ pass: NonNullable<SetHealStatus['last']>; asked: number }> {
  const endsAt = performance.now() + 3_600_000;
  let asked = 0;
  let heardOfMs = sinceMs;
  let quietSince = performance.now();
  while (performance.now() < endsAt) {
    const looked = await Promise.all(allNodes.map((node) => cluster.heal(node)));
    onLook(looked);
    const passes = looked.map(({ sets }) => sets[0]!.last).filter((last) => last !== undefined);
    const pass = passes.find(({ startedAtMs, whole }) => startedAtMs >= sinceMs && whole);
    if (pass !== undefined) return { pass, asked };
    const running = looked.some(({ sets }) => sets[0]!.running !== undefined);
    if (running) quietSince = performance.now();
    // The next one would begin by itself in an hour: whoever waits has to ask.
    const short = passes.find(({ endedAtMs }) => endedAtMs >= heardOfMs);
    if (!running && (short !== undefined || performance.now() - quietSince > 10_000)) {
      process.stderr.write(`a recount is asked for: ${JSON.stringify(short?.result ?? 'none began for 10 s')}\n`);
      heardOfMs = Date.now();
      quietSince = performance.now();
      asked += 1;
      await cluster.recount(0);
    }
    await sleep(500);
  }
  throw new Error('the set is not whole after an hour');
}

async function endChild(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const hard = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await gone;
  clearTimeout(hard);
}

/** Ports for clients in a row, those for the nodes a thousand above; below those the system gives to clients. */
async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const wanted = Array.from({ length: count }, (_, i) => [port + i, port + i + 1000]).flat();
    if ((await Promise.all(wanted.map((one) => isFree(one)))).every(Boolean)) return port;
  }
  throw new Error('no free ports');
}
