/**
 * Ends a program when the one that started it is gone: the supervisor holds the other end of its standard input, and the
 * system closes it whatever way the supervisor dies. Loaded before the program (`node --import`), which knows nothing of
 * it. Does nothing unless MUSTER_SUPERVISED=1.
 */
import { isMainThread } from 'node:worker_threads';

/** How long a program may take to end in order once its supervisor is gone, milliseconds. */
const graceMs = 3000;

if (isMainThread && process.env['MUSTER_SUPERVISED'] === '1') {
  const { stdin } = process;
  stdin.on('error', () => {});
  stdin.once('close', () => {
    setTimeout(() => process.exit(1), graceMs).unref();
    process.kill(process.pid, 'SIGTERM');
  });
  stdin.resume();
  (stdin as Partial<{ unref(): void }>).unref?.();
}
