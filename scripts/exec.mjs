/** Runs TypeScript with Node 24, whatever Node was started. */
import { spawn } from 'node:child_process';
import module from 'node:module';
import { pathToFileURL } from 'node:url';
import { compileCacheFolder } from './cache-folder.mjs';
import { findNode24, nodeFlags, root } from './node24.mjs';

/**
 * Runs a TypeScript file of ours in place of this process: in it where it is a Node 24, else in a child that gets the
 * same standard streams and signals and whose end becomes the end of this process.
 * @param {string} file
 * @param {string[]} args
 */
export async function runTypeScript(file, args) {
  const node = findNode24();
  if (node === null) {
    console.error(`Muster is not set up yet: run \`npm run setup\` in ${root}`);
    process.exitCode = 2;
    return;
  }
  const compileCache = compileCacheFolder();
  if (node === process.execPath) {
    if (compileCache !== null) {
      module.enableCompileCache?.(compileCache);
      // For what it starts in its turn.
      process.env['NODE_COMPILE_CACHE'] ??= compileCache;
    }
    process.argv = [node, file, ...args];
    await import(pathToFileURL(file).href);
    return;
  }
  // Two memory arenas are enough for a command and save it a tenth of its memory (glibc).
  const env = {
    ...(compileCache === null ? {} : { NODE_COMPILE_CACHE: compileCache }),
    MALLOC_ARENA_MAX: '2',
    ...process.env,
  };
  const child = spawn(node, [...nodeFlags, file, ...args], { stdio: 'inherit', env });
  passSignals(child);
  child.on('error', (err) => {
    console.error(`${node} cannot be started: ${err.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // Dies of the same signal, so that a shell or a supervisor sees what really happened.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/**
 * A terminal sends Ctrl-C to the child as well; passed on, it would count twice there.
 * @param {import('node:child_process').ChildProcess} child
 */
function passSignals(child) {
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  process.on('SIGINT', () => {
    if (!onTerminal) child.kill('SIGINT');
  });
  for (const signal of /** @type {const} */ (['SIGTERM', 'SIGHUP', 'SIGUSR2'])) {
    process.on(signal, () => child.kill(signal));
  }
}
