import { Worker } from 'node:worker_threads';

/** What a backup will find: known when all of it was counted. */
export interface Total {
  files: number;
  bytes: number;
}

export interface ScanSource {
  paths: readonly string[];
  excludes: readonly string[];
  oneFileSystem: boolean;
}

export interface Scan {
  /** null while it counts, or where it could not. */
  total(): Total | null;
  end(): void;
}

/** Counts a source in a thread of its own, beside the backup: what is left to do can be told once it is through. */
export function startScan(source: ScanSource): Scan {
  let total: Total | null = null;
  const worker = new Worker(new URL('./scan-thread.ts', import.meta.url), { workerData: source });
  worker.on('message', (counted: Total) => (total = counted));
  // The backup says what is wrong with the source; a count that fails only means that there is no ETA.
  worker.on('error', () => undefined);
  worker.unref();
  return { total: () => total, end: () => void worker.terminate() };
}
