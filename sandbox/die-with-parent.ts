/** How long a process may take to end in order once its supervisor is gone, milliseconds. */
const graceMs = 3000;

/**
 * Ends this process when the one that started it is gone: the supervisor holds the other end of stdin, and the system
 * closes it whatever way the supervisor dies. Does nothing unless MUSTER_SUPERVISED=1.
 */
export function dieWithParent(): void {
  if (process.env['MUSTER_SUPERVISED'] !== '1') return;
  const { stdin } = process;
  stdin.on('error', () => {});
  stdin.once('close', () => {
    setTimeout(() => process.exit(1), graceMs).unref();
    process.kill(process.pid, 'SIGTERM');
  });
  stdin.resume();
  (stdin as Partial<{ unref(): void }>).unref?.();
}
