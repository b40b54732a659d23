import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { isServerProcess, readPostmasterFile } from '../../drivers/postgres/process.ts';
import { lastComplaint } from '../../drivers/postgres/server.ts';

const lookMs = 10;

/**
 * Waits until a server in recovery has been promoted and takes connections. (One that serves nobody while it recovers
 * says `standby` from the first record on.) @throws MusterError RESTORE_FAILED when it ends, or the limit passes
 */
export async function untilOpen(
  dataDir: string,
  pid: number,
  options: { limitMs: number; signal: AbortSignal | undefined },
): Promise<void> {
  const endsAt = performance.now() + options.limitMs;
  for (;;) {
    const file = readPostmasterFile(dataDir);
    if (file?.pid === pid && file.status === 'ready') return;
    const isGone = !isServerProcess(pid, dataDir);
    if (isGone || options.signal?.aborted === true || performance.now() > endsAt) {
      const why = isGone ? await lastComplaint(dataDir) : 'it took too long';
      throw new MusterError('RESTORE_FAILED', `the server in ${dataDir} did not end its recovery: ${why}`);
    }
    await sleep(lookMs);
  }
}
