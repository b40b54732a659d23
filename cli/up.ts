import { spawn } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import type { World } from '../sandbox/world.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { say, sayJson, style } from './output.ts';

interface UpOptions {
  ask?: boolean;
  detach?: boolean;
  json?: boolean;
}

function homeDir(): string {
  return path.resolve(process.env['MUSTER_HOME'] ?? '.muster');
}

/** `muster up` */
export async function up(options: UpOptions): Promise<ExitCode> {
  if (options.detach === true) return upInBackground(options);
  const quiet = options.json === true;
  const { startWorld } = await import('../sandbox/world.ts');
  const world = await startWorld({
    dir: homeDir(),
    ask: options.ask === true,
    onProgress: (line) => (quiet ? undefined : say(style.dim(line))),
  });
  try {
    if (quiet) process.stdout.write(`${JSON.stringify({ ready: true, endpoints: world.endpoints })}\n`);
    else showWorld(world);
    if (!quiet) say('\nRuns until Ctrl-C. In another terminal: npx muster status');
    await untilEnded();
  } finally {
    await world.stop();
  }
  return exitCodes.met;
}

/** The same command once more, on its own; done when it has printed that it is ready. */
async function upInBackground(options: UpOptions): Promise<ExitCode> {
  mkdirSync(homeDir(), { recursive: true });
  const log = openSync(path.join(homeDir(), 'up.log'), 'a');
  const args = [path.join(import.meta.dirname, 'main.ts'), 'up', '--json', ...(options.ask === true ? ['--ask'] : [])];
  const child = spawn(process.execPath, args, { detached: true, stdio: ['ignore', 'pipe', log] });
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve(text);
    });
    child.once('exit', (code) =>
      reject(
        new Error(
          `the sandbox did not come up (exit ${code ?? 'by signal'}): ${text.trim()} see ${path.join(homeDir(), 'up.log')}`,
        ),
      ),
    );
  });
  child.stdout?.destroy();
  child.unref();
  if (options.json === true) process.stdout.write(line);
  else say(`the sandbox is up (process ${child.pid}); end it with: npx muster down`);
  return exitCodes.met;
}

/** `muster down` */
export async function down(options: UpOptions): Promise<ExitCode> {
  const { stopWorld } = await import('../sandbox/world.ts');
  const ended = await stopWorld(homeDir());
  if (options.json === true) sayJson({ ended });
  else say(ended ? 'the sandbox is down' : 'no sandbox runs here');
  return exitCodes.met;
}

export function showWorld(world: World): void {
  for (const [name, address] of Object.entries(world.endpoints)) say(`  ${name.padEnd(22)} ${address}`);
}

/** Until a person (Ctrl-C) or `down` ends it. */
export function untilEnded(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
