import { setTimeout as sleep } from 'node:timers/promises';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { formatLsn } from '../../drivers/postgres/lsn.ts';
import type { WalStore } from './wal-store.ts';
import { ReceiverProgress, type ReceiverStatus } from './receiver-status.ts';
import { identifyServer, ReplicationSession } from './replication-session.ts';
import { SegmentFiller } from './segment-filler.ts';
import { archiveHistory, findStart, isFinal, reserveSlot, type Streaming } from './stream-start.ts';
import { followTimeline } from './timeline-stream.ts';
import { claimArchive } from './wal-archive.ts';
import type { WalPosition } from './stream-position.ts';

export interface ReceiverOptions {
  /** Address of the server to follow; asked for anew at each connection, so that it may move with a failover. */
  url(): string | Promise<string>;
  /** Replication slot, made when it is not there: the server keeps WAL until it is on disk here. `null`: none. */
  slot: string | null;
  /**
   * `stream` (default): the slot moves with what is on disk here. `caller`: the caller moves it, e.g. when the WAL has come
   * to a safer place. Then, unless it is synchronous, the server is not told what is on disk: PostgreSQL never takes a
   * standby that does not say so for a synchronous one, even where `synchronous_standby_names` is `*`.
   */
  slotFollows?: 'stream' | 'caller';
  /** `application_name`, to be named in `synchronous_standby_names`; default `muster_archive`. */
  name?: string;
  store: WalStore;
  /** Every batch is synced before it is confirmed, so that commits may wait for it; else once a `statusMs`. */
  synchronous?: boolean;
  /** The server is told at least this often how far the WAL is on disk; default 1 s. */
  statusMs?: number;
  /** A connection on which nothing comes for this long, though asked for, is given up; default 10 s. */
  stallMs?: number;
  connectMs?: number;
  /** Longest pause before another attempt to connect; the first comes after a tenth of a second. Default 5 s. */
  retryMs?: number;
  /** WAL that the server does not have any more: `stop` ends with WAL_GAP, `continue` goes on behind the gap. */
  atGap?: 'stop' | 'continue';
  signal?: AbortSignal;
  onEvent?(event: ReceiverEvent): void;
}

export type ReceiverEvent =
  | { kind: 'streaming'; timeline: number; lsn: string }
  | { kind: 'archived'; name: string }
  | { kind: 'timeline'; timeline: number; lsn: string }
  | { kind: 'gap'; why: string }
  | { kind: 'disconnected'; why: string };

export interface WalReceiver extends AsyncDisposable {
  status(): ReceiverStatus;
  /** Resolves when it was stopped; rejects with what makes going on pointless: WAL_CONFLICT, WAL_GAP, TARGET_FULL. */
  readonly done: Promise<void>;
  /** Ends it; what has arrived is on disk then. */
  stop(): Promise<void>;
}

/**
 * Receives a server's WAL into an archive, for as long as it is let: connects again, follows promotions from timeline to
 * timeline, and goes on where the archive ends, whatever ended the receiver before.
 */
export function startReceiver(options: ReceiverOptions): WalReceiver {
  const stopped = new AbortController();
  const signal = options.signal === undefined ? stopped.signal : AbortSignal.any([stopped.signal, options.signal]);
  const progress = new ReceiverProgress();
  const done = receive({ ...options, signal }, progress);
  done.catch(() => undefined); // who wants to know asks `done`
  const stop = async (): Promise<void> => {
    stopped.abort();
    await done;
  };
  const dispose = (): Promise<void> => stop().catch(() => undefined);
  return { status: () => progress.status(), done, stop, [Symbol.asyncDispose]: dispose };
}

const firstRetryMs = 100;

async function receive(options: ReceiverOptions & { signal: AbortSignal }, progress: ReceiverProgress): Promise<void> {
  const { signal } = options;
  let skipGap = false;
  let waitMs = firstRetryMs;
  while (!signal.aborted) {
    try {
      await receiveOnce(options, progress, skipGap);
    } catch (err) {
      if (signal.aborted) break;
      const failure = toMusterError(err, 'DATABASE_UNREACHABLE');
      progress.disconnected(failure);
      skipGap = failure.code === 'WAL_GAP' && options.atGap === 'continue';
      if (skipGap) options.onEvent?.({ kind: 'gap', why: failure.message });
      else if (isFinal(failure)) throw failure;
      options.onEvent?.({ kind: 'disconnected', why: failure.message });
    }
    // Whoever streamed for a while lost a connection that was good: it is tried again at once.
    waitMs = progress.takeWasStreaming() ? firstRetryMs : Math.min(waitMs * 2, options.retryMs ?? 5_000);
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  }
  progress.stopped();
}

async function receiveOnce(
  options: ReceiverOptions & { signal: AbortSignal },
  progress: ReceiverProgress,
  skipGap: boolean,
): Promise<void> {
  const { store, signal, connectMs = 3_000, stallMs = 10_000 } = options;
  const url = await options.url();
  const session = await ReplicationSession.open({
    url,
    name: options.name ?? 'muster_archive',
    connectMs,
    stallMs,
    signal,
  });
  let filler: SegmentFiller | null = null;
  try {
    const server = await identifyServer(session);
    await claimArchive(store.archive, server);
    if (options.slot !== null) await reserveSlot(session, options.slot);
    const movesSlot = options.slot !== null && options.slotFollows !== 'caller';
    const streaming: Streaming = { url, session, server, store, slot: options.slot, movesSlot };
    let position: WalPosition | null = await findStart(streaming, skipGap);
    while (position !== null) {
      await archiveHistory(streaming, position.timeline);
      options.onEvent?.({ kind: 'streaming', timeline: position.timeline, lsn: formatLsn(position.lsn) });
      filler = new SegmentFiller(store, position, server.segmentBytes, (name) =>
        options.onEvent?.({ kind: 'archived', name }),
      );
      progress.streaming(position, session);
      position = await followTimeline(streaming, filler, { ...options, progress });
      await filler.close();
      if (position === null) break;
      options.onEvent?.({ kind: 'timeline', timeline: position.timeline, lsn: formatLsn(position.lsn) });
    }
  } finally {
    session.close();
    await filler?.close().catch(() => undefined);
  }
  throw new MusterError('DATABASE_UNREACHABLE', 'the server ended the stream');
}
