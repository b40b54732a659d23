import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import type { Log } from './log.ts';
import type { TemporalPlace } from './temporal.ts';

/** The SDK's own messages go where ours go. Once per process, before any connection. */
export function installRuntime(log: Log): void {
  const logger = new DefaultLogger('WARN', ({ level, message, meta }) => {
    log[level === 'ERROR' ? 'error' : 'warn']({ ...meta }, message);
  });
  Runtime.install({ logger, shutdownSignals: [] });
}

export interface RunningWorker {
  shutdown(): Promise<void>;
}

const retryMs = 500;

/**
 * Polls a task queue for as long as the process lives. A Temporal that is not there yet, or not any more, is waited for:
 * guards and granters of the same process never depend on it.
 */
export function keepWorking(
  place: TemporalPlace,
  options: Omit<WorkerOptions, 'connection'>,
  log: Log,
  onReady: () => void = () => {},
): RunningWorker {
  let ended = false;
  let worker: Worker | null = null;
  const loop = async (): Promise<void> => {
    while (!ended) {
      try {
        const connection = await NativeConnection.connect({ address: place.address });
        worker = await Worker.create({ ...options, connection, namespace: place.namespace });
        const running = worker.run();
        onReady();
        await running;
        await connection.close();
      } catch (err) {
        log.warn(
          { taskQueue: options.taskQueue, err: err instanceof Error ? err.message : String(err) },
          'Temporal is away; trying again',
        );
      }
      worker = null;
      if (!ended) await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  };
  const looping = loop();
  return {
    shutdown: async () => {
      ended = true;
      if (worker?.getState() === 'RUNNING') worker.shutdown();
      await looping;
    },
  };
}
