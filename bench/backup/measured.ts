import { spawn } from 'node:child_process';

/** What a whole command took, its children with it. */
export interface Measured {
  wallSeconds: number;
  cpuSeconds: number;
}

/**
 * Runs a command to its end under the shell's `time`, which counts the CPU of everything that it waited for.
 * Throws with the end of its output when it fails.
 */
export async function measured(command: readonly string[], env: NodeJS.ProcessEnv): Promise<Measured> {
  const script = 'TIMEFORMAT="@times %R %U %S"; time "$@"';
  const { code, output } = await collect(['bash', '-c', script, 'bench', ...command], env);
  const times = /@times ([\d.]+) ([\d.]+) ([\d.]+)/.exec(output);
  if (code !== 0 || times === null)
    throw new Error(`${command.join(' ')} ended with ${code}:\n${output.slice(-2_000)}`);
  const [wall, user, system] = times.slice(1).map(Number) as [number, number, number];
  return { wallSeconds: wall, cpuSeconds: user + system };
}

function collect(
  [file, ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file!, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    child.stdout.on('data', (data: Buffer) => output.push(data));
    child.stderr.on('data', (data: Buffer) => output.push(data));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, output: Buffer.concat(output).toString() }));
  });
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
