import type { ChildProcess } from 'node:child_process';
import type { ReadyLine } from '../processes.ts';

/** Reads a program's standard output until the line that says it is ready; all of it goes to `log`. */
export function readyLine(child: ChildProcess, log: (chunk: Buffer) => void, withinMs: number): Promise<ReadyLine> {
  return new Promise((resolve, reject) => {
    let text: string | null = '';
    const settle = (outcome: ReadyLine | Error) => {
      if (text === null) return;
      text = null;
      clearTimeout(timer);
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    const timer = setTimeout(() => settle(new Error(`not ready after ${withinMs / 1000} s`)), withinMs);
    child.once('error', settle);
    child.once('exit', (code, signal) => settle(new Error(`it ended with ${signal ?? `exit code ${code}`}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      log(chunk);
      if (text === null) return;
      const lines = (text + chunk.toString()).split('\n');
      text = lines.pop() ?? '';
      const ready = lines.map(parseReady).find((line) => line !== null);
      if (ready) settle(ready);
    });
  });
}

function parseReady(line: string): ReadyLine | null {
  try {
    const value = JSON.parse(line) as { ready?: unknown } | null;
    return value !== null && value.ready === true ? (value as ReadyLine) : null;
  } catch {
    return null;
  }
}
