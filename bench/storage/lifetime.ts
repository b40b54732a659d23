/** What a benchmark leaves behind: nothing, however it ends. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';

const undos: (() => Promise<unknown> | void)[] = [];

/** Has it done when the benchmark ends, by itself, by an error or by a signal; the last first. */
export function atEnd(undo: () => Promise<unknown> | void): void {
  undos.push(undo);
}

/** A directory of the benchmark's own, gone at its end. */
export function ownHome(name: string, parent = tmpdir()): string {
  mkdirSync(parent, { recursive: true });
  const home = mkdtempSync(path.join(parent, `muster-bench-${name}-`));
  atEnd(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

/** Runs a benchmark, says its error in full, and ends what it started. */
export async function runBench(main: () => Promise<void>): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      process.stderr.write(`\n${signal}: ending what was started\n`);
      void undoAll().finally(() => process.exit(128 + constants.signals[signal]));
    });
  }
  // A promise that is awaited only later fails before anybody looks.
  process.once('unhandledRejection', (error) => {
    tell(error);
    void undoAll().finally(() => process.exit(1));
  });
  try {
    await main();
  } catch (error) {
    tell(error);
  } finally {
    await undoAll();
  }
}

function tell(error: unknown): void {
  process.stderr.write(`${inspect(error, { depth: 8 })}\n`);
  process.exitCode = 1;
}

async function undoAll(): Promise<void> {
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      tell(error);
    }
  }
  // A server whose start failed half-way belongs to nobody above.
  for (const pid of ownChildren()) {
    process.stderr.write(`process ${pid} was left over and is killed\n`);
    process.kill(pid, 'SIGKILL');
  }
}

function ownChildren(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const [state, parent] = statOf(pid);
      return Number(parent) === process.pid && state !== 'Z';
    });
}

function statOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return [];
  }
}

/** What is under way, on standard error: the table has standard output for itself. */
export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Rows under their titles: the first column to the left, the others to the right. */
export function printTable(titles: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [titles, ...rows];
  const widths = titles.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  for (const row of all) {
    const cells = row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
    process.stdout.write(`${cells.join('  ').trimEnd()}\n`);
  }
}

/** A whole number from a flag. @throws when it is none. */
export function whole(flag: string, text: string, least = 1): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`--${flag} must be a whole number of at least ${least}, not "${text}"`);
  return value;
}
