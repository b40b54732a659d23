/** Plays a game day in a process of its own and reads the figures from its report. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Report } from '../console/report/model.ts';

const root = path.join(import.meta.dirname, '..');

export interface PlayedDay {
  report: Report;
  /** Highest resident memory of the worker, MB. */
  workerMb: number | null;
  exitCode: number;
}

export async function playDay(scenario: string, home: string): Promise<PlayedDay> {
  const args = [path.join(root, 'cli', 'main.ts'), 'game-day', scenario, '--json'];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, MUSTER_HOME: home },
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  let workerMb: number | null = null;
  const sampling = setInterval(() => (workerMb = peakMb(workerPid(home)) ?? workerMb), 500);
  const exitCode = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? -1)));
  clearInterval(sampling);
  if (text.trim() === '') throw new Error(`${scenario} printed no report (exit ${exitCode})`);
  return { report: JSON.parse(text) as Report, workerMb, exitCode };
}

function workerPid(home: string): number | null {
  const file = path.join(home, 'processes.json');
  if (!existsSync(file)) return null;
  const { processes } = JSON.parse(readFileSync(file, 'utf8')) as { processes: { name: string; pid: number }[] };
  return processes.find((p) => p.name === 'worker')?.pid ?? null;
}

/** Linux only; elsewhere the figure is left out. */
function peakMb(pid: number | null): number | null {
  if (pid === null || !existsSync(`/proc/${pid}/status`)) return null;
  const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return found?.[1] === undefined ? null : Number(found[1]) / 1024;
}

/** Highest resident memory of one command, MB; it need not succeed, what it loads is what counts. */
export async function peakOfCommand(args: string[], home: string): Promise<number[]> {
  const env = { ...process.env, MUSTER_HOME: home };
  const child = spawn(process.execPath, [path.join(root, 'cli', 'main.ts'), ...args], { stdio: 'ignore', env });
  let mb: number | null = null;
  const sampling = setInterval(() => (mb = peakMb(child.pid ?? null) ?? mb), 10);
  await new Promise((resolve) => child.once('exit', resolve));
  clearInterval(sampling);
  return mb === null ? [] : [mb];
}
