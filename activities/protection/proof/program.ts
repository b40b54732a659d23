import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import type { Place } from './place.ts';
import { endMarked, markName, noteProgram } from './marked.ts';

/** Where the restored copy is: what stands for it in words of the user's. */
export interface Whereabouts {
  /** A port of the loopback for the program to listen at. */
  port: number;
  /** Of a database, to connect to; of files, a `file:` address. */
  url: string;
  directory: string;
}

/** Puts it in the place of `{port}`, `{url}` and `{directory}`. Pure. */
export function substituted(words: string, where: Whereabouts): string {
  return words.replaceAll(/\{(port|url|directory)\}/g, (_, name: keyof Whereabouts) => String(where[name]));
}

/** How a program ended; `why` is null for one that said so itself, by its exit code. */
export interface Ended {
  exitCode: number | null;
  why: string | null;
}

export interface Program {
  ended: Promise<Ended>;
  hasEnded(): boolean;
  /** The last lines it wrote, to either of its outputs. */
  lastWords(): string;
  /** Ends it with all it has started. */
  end(): Promise<void>;
}

const keptBytes = 8_192;
const keptLines = 5;

/**
 * Runs a program of the user's beside a restored copy, in a process group of its own. Its environment holds none of the
 * worker's: what it may know is in its words. Never throws for what it does: that it cannot be started is how it ended.
 */
export async function startProgram(words: readonly string[], place: Place, where: Whereabouts): Promise<Program> {
  const [program = '', ...args] = words.map((word) => substituted(word, where));
  const child = spawn(program, args, {
    ...{ cwd: where.directory, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    env: { ...bareEnvironment(), [markName]: place.dir },
  });
  const tail = new Tail();
  for (const output of [child.stdout, child.stderr]) tail.listenTo(output);
  let isOver = false;
  const ended = new Promise<Ended>((resolve) => {
    child.once('error', (err) => resolve({ exitCode: null, why: `it cannot be started: ${err.message}` }));
    child.once('close', (exitCode, signal) =>
      resolve({ exitCode, why: signal === null ? null : `ended by ${signal}` }),
    );
  });
  void ended.then(() => (isOver = true));
  if (child.pid !== undefined) await noteProgram(place.dir, child.pid);
  return {
    ended,
    hasEnded: () => isOver,
    lastWords: () => tail.lines(),
    async end() {
      await endMarked(place.dir);
      child.stdout.destroy();
      child.stderr.destroy();
      await ended;
    },
  };
}

/** What programs need to run at all. */
function bareEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR'];
  return Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

class Tail {
  #kept = Buffer.alloc(0);

  listenTo(output: Readable): void {
    output.on('data', (bytes: Buffer) => {
      this.#kept = Buffer.concat([this.#kept, bytes]).subarray(-keptBytes);
    });
    output.on('error', () => undefined);
  }

  lines(): string {
    const text = stripVTControlCharacters(this.#kept.toString()).replaceAll(/[^\n\P{Cc}]/gu, ' ');
    const lines = text.split('\n').map((line) => line.trim());
    return lines
      .filter((line) => line !== '')
      .slice(-keptLines)
      .join(' | ')
      .slice(-1_000);
  }
}
