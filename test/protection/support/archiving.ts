/** `archiveWal` as an activity runs it, here or in a process of its own. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { archiveWal, type ArchiveWalProgress } from '../../../activities/protection/archive-wal.ts';
import type { ProtectionContext } from '../../../activities/protection/context.ts';
import type { ArchiveWalOrder } from '../../../workflows/engine/protection.ts';

export interface Archiving extends AsyncDisposable {
  /** What was told last. */
  progress(): ArchiveWalProgress | null;
  logged: string[];
  /** Gaps that somebody is to be told of. */
  gaps: string[];
  readonly done: Promise<ArchiveWalProgress>;
  stop(): Promise<ArchiveWalProgress>;
}

export function startArchiving(order: ArchiveWalOrder, home: string): Archiving {
  const ended = new AbortController();
  let last: ArchiveWalProgress | null = null;
  const logged: string[] = [];
  const context: ProtectionContext = {
    signal: ended.signal,
    ...{ runId: 'run', before: undefined, scratchDir: path.join(home, 'scratch'), stateDir: path.join(home, 'state') },
    heartbeat: (progress) => void (last = progress as ArchiveWalProgress),
    log: (message) => void logged.push(message),
  };
  mkdirSync(context.stateDir, { recursive: true });
  const gaps: string[] = [];
  const done = archiveWal(order, context, (why) => void gaps.push(why));
  done.catch(() => undefined); // asked by the test
  const stop = (): Promise<ArchiveWalProgress> => {
    ended.abort();
    return done;
  };
  return {
    ...{ progress: () => last, logged, gaps, done, stop },
    [Symbol.asyncDispose]: () =>
      stop().then(
        () => undefined,
        () => undefined,
      ),
  };
}
