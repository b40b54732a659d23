import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MusterError } from '../workflows/engine/errors.ts';
import { endRecorded, settled } from './processes/end.ts';
import { isSame, signalIfSame, startTimeOf } from './processes/identity.ts';
import { readyLine } from './processes/ready.ts';
import { readRecords, writeRecords, type ProcessRecord, type Records } from './processes/records.ts';

export interface SpawnOptions {
  /** Unique among the living; also the name of the log. */
  name: string;
  command: string;
  args: string[];
  /** Added to the supervisor's own environment. */
  env?: Record<string, string>;
  cwd?: string;
}

export interface Running {
  name: string;
  pid: number;
  /** Resolves when the process has ended, with how. */
  ended: Promise<string>;
}

/** What a program of ours says on its first line of standard output: `{"ready":true,...}`. */
export type ReadyLine = Record<string, unknown> & { ready: true };

const dieWithParent = pathToFileURL(join(import.meta.dirname, 'die-with-parent.ts')).href;
const defaultGraceMs = 2500;
const defaultReadyMs = 60_000;

/**
 * Starts and ends the processes of a world, and keeps a record of them on disk so that a later run can end what a
 * crashed one left. A second process, the reaper, does so at once when this one dies.
 */
export class Processes {
  readonly #home: string;
  readonly #file: string;
  readonly #records: Records;
  readonly #logged = new Set<string>();
  #reaper: ChildProcess | null = null;

  private constructor(home: string, file: string) {
    this.#home = home;
    this.#file = file;
    this.#records = { supervisor: ownIdentity(), processes: [], servers: [] };
  }

  /**
   * Takes over a home directory (`.muster`): ends what a crashed run left there.
   * @throws MusterError SANDBOX_RUNNING when its supervisor lives
   */
  static async open(home: string): Promise<Processes> {
    const processes = new Processes(home, recordsFile(home));
    await endLeftovers(home);
    mkdirSync(join(home, 'logs'), { recursive: true });
    processes.#write();
    processes.#startReaper();
    return processes;
  }

  /** This process, as its record says. */
  get supervisor(): { pid: number; startTime: string } {
    return ownIdentity();
  }

  /** Path of a process's log. */
  log(name: string): string {
    return join(this.#home, 'logs', `${name}.log`);
  }

  /** Starts a program of ours (a .ts file) and waits until it says that it is ready. It ends when this process does. */
  async startProgram(options: {
    name: string;
    script: string;
    env: Record<string, string>;
    readyMs?: number;
  }): Promise<Running & { ready: ReadyLine }> {
    const { name, script } = options;
    // Half of what a program does to start is compiling the same packages again.
    const env = {
      ...options.env,
      MUSTER_SUPERVISED: '1',
      MALLOC_ARENA_MAX: '2',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(this.#home, 'cache', 'node'),
    };
    const log = this.#openLog(name);
    // Ten small programs on one machine: a small nursery each is worth more than the last bit of speed.
    const args = [
      '--disable-warning=ExperimentalWarning',
      '--max-semi-space-size=2',
      '--import',
      dieWithParent,
      script,
    ];
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['pipe', 'pipe', log],
    });
    child.stdin?.on('error', () => {});
    const running = this.#register(name, child, 'program');
    child.once('close', () => closeSync(log));
    const line = readyLine(child, (chunk) => writeSync(log, chunk), options.readyMs ?? defaultReadyMs);
    const ready = await line.catch((err: unknown) => {
      this.kill(name);
      const why = err instanceof Error ? err.message : String(err);
      throw new MusterError('SETUP_FAILED', `${name} did not start: ${why}; its log is ${this.log(name)}`, {
        cause: err,
      });
    });
    return { ...running, ready };
  }

  /** Starts somebody else's server; all it says goes to its log. */
  startServer(options: SpawnOptions): Running {
    const log = this.#openLog(options.name);
    const child = spawn(options.command, options.args, {
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    return this.#register(options.name, child, 'server');
  }

  /** Takes responsibility for the PostgreSQL server on a data directory, whoever starts it and however often. */
  registerDatabase(name: string, dataDir: string): void {
    this.#records.servers.push({ name, dataDir });
    this.#write();
  }

  pidOf(name: string): number | null {
    return this.#find(name)?.pid ?? null;
  }

  list(): readonly ProcessRecord[] {
    return this.#records.processes;
  }

  /** Signals a process by name; what ended meanwhile is left alone. @returns whether it lived */
  signal(name: string, signal: NodeJS.Signals): boolean {
    const record = this.#find(name);
    return record !== undefined && signalIfSame(record, signal);
  }

  kill(name: string): boolean {
    return this.signal(name, 'SIGKILL');
  }

  pause(name: string): boolean {
    return this.signal(name, 'SIGSTOP');
  }

  cont(name: string): boolean {
    return this.signal(name, 'SIGCONT');
  }

  /** Asks a process to end, and kills it when it has not done so in time. */
  async stop(name: string, graceMs = defaultGraceMs): Promise<void> {
    const record = this.#find(name);
    if (record === undefined) return;
    signalIfSame(record, 'SIGTERM');
    signalIfSame(record, 'SIGCONT');
    if (!(await settled(() => !isSame(record), graceMs))) signalIfSame(record, 'SIGKILL');
    await settled(() => !isSame(record), graceMs);
  }

  /** Ends all of them, programs before the servers they talk to. */
  async endAll(graceMs = defaultGraceMs): Promise<void> {
    await endRecorded(this.#records, graceMs);
    this.#records.processes = [];
    this.#records.servers = [];
    this.#records.supervisor = null;
    this.#write();
    this.#reaper?.stdin?.end();
  }

  #find(name: string): ProcessRecord | undefined {
    return this.#records.processes.find((record) => record.name === name);
  }

  #register(name: string, child: ChildProcess, kind: ProcessRecord['kind']): Running {
    const ended = new Promise<string>((resolve) => {
      child.once('error', (err) => resolve(err.message));
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
    });
    const pid = child.pid ?? 0;
    const startTime = pid === 0 ? null : startTimeOf(pid);
    if (startTime === null) return { name, pid, ended };
    this.#records.processes = this.#records.processes.filter((record) => record.name !== name);
    const record: ProcessRecord = { name, pid, startTime, kind };
    this.#records.processes.push(record);
    this.#write();
    child.once('exit', () => {
      this.#records.processes = this.#records.processes.filter((other) => other !== record);
      if (this.#records.supervisor !== null) this.#write();
    });
    return { name, pid, ended };
  }

  #write(): void {
    writeRecords(this.#file, this.#records);
  }

  /** A process that is started again in the same run adds to its log. */
  #openLog(name: string): number {
    const log = openSync(this.log(name), this.#logged.has(name) ? 'a' : 'w');
    this.#logged.add(name);
    return log;
  }

  #startReaper(): void {
    const { pid, startTime } = ownIdentity();
    const script = join(import.meta.dirname, 'processes', 'reaper.ts');
    const args = ['--disable-warning=ExperimentalWarning', script, this.#file, String(pid), startTime];
    this.#reaper = spawn(process.execPath, args, { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    this.#reaper.stdin?.on('error', () => {});
    this.#reaper.unref();
    (this.#reaper.stdin as Partial<{ unref(): void }> | null)?.unref?.();
  }
}

/**
 * Ends what a crashed run left under a home directory: only processes whose pid and start time are the recorded ones.
 * @returns the names of those that were found alive
 * @throws MusterError SANDBOX_RUNNING when the run's supervisor lives
 */
export async function endLeftovers(home: string): Promise<string[]> {
  const file = recordsFile(home);
  const records = readRecords(file);
  const { supervisor } = records;
  if (supervisor !== null && isSame(supervisor)) {
    throw new MusterError('SANDBOX_RUNNING', `a sandbox runs under ${home} (pid ${supervisor.pid})`);
  }
  const ended = await endRecorded(records, defaultGraceMs);
  if (ended.length > 0) writeRecords(file, { supervisor: null, processes: [], servers: [] });
  return ended;
}

/** Asks the supervisor that lives under a home directory to end, and kills it when it has not in time. @returns whether there was one */
export async function endSupervisor(home: string, withinMs: number): Promise<boolean> {
  const { supervisor } = readRecords(recordsFile(home));
  if (supervisor === null || supervisor.pid === process.pid || !signalIfSame(supervisor, 'SIGTERM')) return false;
  if (!(await settled(() => !isSame(supervisor), withinMs))) signalIfSame(supervisor, 'SIGKILL');
  return settled(() => !isSame(supervisor), withinMs);
}

function recordsFile(home: string): string {
  return join(home, 'processes.json');
}

function ownIdentity(): { pid: number; startTime: string } {
  return { pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
}
