import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { initCheaply, password } from '../../backup/repository/support/repositories.ts';

const launcher = path.join(import.meta.dirname, '..', '..', '..', 'cli', 'launcher.mjs');

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A `muster repo` under way. */
export interface Running {
  child: ChildProcess;
  /** What it has said so far. */
  said(): string;
  ended: Promise<Ended>;
}

/** A folder with a repository, and a source beside it; gone after the test. */
export interface Place {
  dir: string;
  source: string;
  repo: string;
  at(...names: string[]): string;
  /** `muster repo …` on the repository, as a person would run it. */
  start(args: readonly string[], env?: NodeJS.ProcessEnv): Running;
  muster(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended>;
  /** The same where it has to succeed. @returns stdout */
  done(args: readonly string[]): Promise<string>;
  /** The same with `--json`. @returns its lines */
  json(args: readonly string[]): Promise<Record<string, unknown>[]>;
}

/** The environment without whatever the one who runs the tests has set for restic. */
function cleanEnv(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(RESTIC|MUSTER)_/.test(name));
  return { ...Object.fromEntries(entries), TZ: 'UTC' };
}

/** A place without a repository. */
export function emptyPlace(t: TestContext): Place {
  const dir = mkdtempSync(path.join(tmpdir(), 'muster-cli-repo-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [source, repo] = [path.join(dir, 'source'), path.join(dir, 'vault')];
  mkdirSync(source);
  const place: Place = {
    ...{ dir, source, repo },
    at: (...names) => path.join(source, ...names),
    start: (args, env = {}) =>
      start(['repo', ...args], {
        cwd: dir,
        env: { ...cleanEnv(), MUSTER_REPOSITORY: repo, RESTIC_PASSWORD: password, ...env },
      }),
    muster: (args, env) => place.start(args, env).ended,
    async done(args) {
      const { code, stdout, stderr } = await place.muster(args);
      if (code !== 0) throw new Error(`muster repo ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
      return stdout;
    },
    json: async (args) => linesOf(await place.done([...args, '--json'])),
  };
  return place;
}

/** A place with an empty repository whose key costs next to nothing: what is tested is not scrypt. */
export async function createPlace(t: TestContext): Promise<Place> {
  const place = emptyPlace(t);
  await (await initCheaply(place.repo)).close();
  return place;
}

function start(args: readonly string[], { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv }): Running {
  const child = spawn(process.execPath, [launcher, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text));
  }
  const ended = once(child, 'close').then(([code, signal]) => ({
    ...{ code: code as number | null, signal: signal as NodeJS.Signals | null },
    ...said,
  }));
  return { child, ended, said: () => said.stdout + said.stderr };
}

/** Every line of stdout as the JSON that it has to be. */
export function linesOf(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The one line of a type. */
export function lineOf(lines: readonly Record<string, unknown>[], type: string): Record<string, unknown> {
  const found = lines.filter((line) => line['message_type'] === type);
  if (found.length !== 1) throw new Error(`${found.length} lines of ${type} in ${JSON.stringify(lines)}`);
  return found[0] as Record<string, unknown>;
}

export interface StoredFile {
  path: string;
  sizeBytes: number;
}

/** Files of one folder of the repository; what is still being written has other names. */
export function filesIn({ repo }: Place, folder: 'data' | 'index' | 'locks' | 'snapshots' | 'keys'): StoredFile[] {
  const root = path.join(repo, folder);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^[0-9a-f]{64}$/.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((file) => ({ path: file, sizeBytes: statSync(file).size }));
}
