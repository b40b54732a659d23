import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Stock restic, the judge. What needs it is skipped, and says so, where it is not installed. */
export const skipWithoutRestic: string | false =
  spawnSync('restic', ['version'], { stdio: 'ignore' }).status === 0 ? false : 'restic is not installed';

export interface Scratch {
  readonly path: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A directory that is gone after the test. */
export function scratch(): Scratch {
  const path = mkdtempSync(join(tmpdir(), 'muster-repository-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ResticOptions {
  readonly password?: string;
  readonly env?: Record<string, string>;
}

/** Runs restic on a repository, without a cache, and answers how it ended. */
export async function tryRestic(
  repository: string,
  args: readonly string[],
  { password = 'correct horse', env = {} }: ResticOptions = {},
): Promise<Outcome> {
  const command = ['--no-cache', '-r', repository, ...args];
  const settings = { ...process.env, TZ: 'UTC', RESTIC_PASSWORD: password, ...env };
  try {
    const running = promisify(execFile)('restic', command, { env: settings, timeout: 60_000, maxBuffer: 2 ** 26 });
    running.child.stdin?.end('from standard input\n');
    return { code: 0, ...(await running) };
  } catch (err) {
    const failed = err as Outcome;
    return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr };
  }
}

/** The same where it has to succeed. @returns what restic printed */
export async function restic(repository: string, args: readonly string[], options?: ResticOptions): Promise<string> {
  const { code, stdout, stderr } = await tryRestic(repository, args, options);
  if (code !== 0) throw new Error(`restic ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}
