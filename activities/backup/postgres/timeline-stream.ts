import { MusterError } from '../../../workflows/engine/errors.ts';
import type { BackendPiece } from '../../drivers/postgres/replication.ts';
import { formatLsn, parseLsn } from '../../drivers/postgres/lsn.ts';
import type { ReceiverProgress } from './receiver-status.ts';
import { complaintState } from './replication-session.ts';
import type { SegmentFiller } from './segment-filler.ts';
import type { Streaming } from './stream-start.ts';
import type { WalPosition } from './stream-position.ts';
import { parseWalMessage, standbyStatus } from './wal-messages.ts';
import { segmentAt, segmentStart } from './wal-name.ts';

export interface FollowOptions {
  synchronous?: boolean;
  statusMs?: number;
  stallMs?: number;
  signal: AbortSignal;
  progress: ReceiverProgress;
}

/**
 * Receives one timeline until the server has no more of it. Resolves with where the next one begins, or `null` when the
 * stream was ended in order without one. @throws MusterError WAL_GAP when the server has removed what is wanted
 */
export async function followTimeline(
  streaming: Streaming,
  filler: SegmentFiller,
  options: FollowOptions,
): Promise<WalPosition | null> {
  const stream = new TimelineStream(streaming, filler, options);
  try {
    return await stream.follow();
  } catch (err) {
    throw complaintState(err) === undefinedFile && err instanceof MusterError
      ? new MusterError('WAL_GAP', err.message, { cause: err })
      : err;
  }
}

/** SQLSTATE of "requested WAL segment has already been removed". */
const undefinedFile = '58P01';

class TimelineStream {
  readonly #streaming: Streaming;
  readonly #filler: SegmentFiller;
  readonly #options: FollowOptions;
  readonly #statusMs: number;
  #message: Buffer[] = [];
  #syncedAtMs = performance.now();
  #askedAtMs = 0;
  #wantsReply = false;
  #next: (string | null)[] | null = null;
  #state: 'starting' | 'streaming' | 'ending' | 'over' = 'starting';

  constructor(streaming: Streaming, filler: SegmentFiller, options: FollowOptions) {
    this.#streaming = streaming;
    this.#filler = filler;
    this.#options = options;
    this.#statusMs = options.statusMs ?? 1_000;
  }

  async follow(): Promise<WalPosition | null> {
    const { session, slot, movesSlot } = this.#streaming;
    const { timeline } = this.#filler;
    const lsn = formatLsn(this.#filler.flushedLsn);
    session.send(`START_REPLICATION ${movesSlot ? `SLOT ${slot} ` : ''}PHYSICAL ${lsn} TIMELINE ${timeline}`);
    // On its own, so that the server hears of us while a disk is slow.
    const heartbeat = setInterval(() => this.#tell(), this.#statusMs);
    try {
      while (this.#state !== 'over') {
        const pieces = await session.pieces(this.#statusMs);
        for (const piece of pieces) await this.#take(piece);
        await this.#settle(pieces.length > 0);
        this.#watchSilence();
      }
    } finally {
      clearInterval(heartbeat);
    }
    return this.#nextPosition();
  }

  async #take(piece: BackendPiece): Promise<void> {
    if (piece.kind === 'copy-begin') this.#state = 'streaming';
    else if (piece.kind === 'copy') await this.#takeData(piece.bytes, piece.last);
    else if (piece.kind === 'row') this.#next = piece.columns;
    else if (piece.kind === 'ready') this.#state = 'over';
    else if (piece.kind === 'copy-done') {
      // The end of this timeline. What belongs to it must be on disk before anything of the next one is.
      this.#state = 'ending';
      await this.#filler.sync();
      this.#streaming.session.sendCopyDone();
    }
  }

  async #takeData(bytes: Buffer, isLast: boolean): Promise<void> {
    this.#message.push(bytes);
    if (!isLast) return;
    const whole = this.#message.length === 1 ? bytes : Buffer.concat(this.#message);
    this.#message = [];
    const message = parseWalMessage(whole);
    if (message === null) return;
    this.#options.progress.heard(message.serverLsn);
    if (message.kind === 'data') await this.#filler.take(message.startLsn, message.bytes);
    else if (message.wantsReply) this.#wantsReply = true;
  }

  /** Writes what came in one go, syncs when it is time, and says so. */
  async #settle(hasNews: boolean): Promise<void> {
    if (this.#state !== 'streaming') return;
    await this.#filler.write();
    const isDue = performance.now() - this.#syncedAtMs >= this.#statusMs;
    const before = this.#filler.flushedLsn;
    if (this.#options.synchronous === true || isDue) {
      await this.#filler.sync();
      this.#syncedAtMs = performance.now();
    }
    const isNew = this.#filler.flushedLsn !== before || (hasNews && this.#options.synchronous === true);
    if (isNew || this.#wantsReply) this.#tell();
    this.#wantsReply = false;
  }

  #tell(wantsReply = false): void {
    const { writtenLsn, flushedLsn } = this.#filler;
    this.#options.progress.written(writtenLsn);
    this.#options.progress.flushed(flushedLsn);
    if (this.#state !== 'streaming') return;
    const says = this.#options.synchronous === true || this.#streaming.movesSlot;
    const status = standbyStatus({ writtenLsn, flushedLsn: says ? flushedLsn : 0n, nowMs: Date.now(), wantsReply });
    this.#streaming.session.sendCopyData(status);
  }

  /** A server that is asked answers at once; one that stays silent all the same is gone. */
  #watchSilence(): void {
    const silentMs = performance.now() - this.#streaming.session.lastReceivedAtMs;
    const stallMs = this.#options.stallMs ?? 10_000;
    if (silentMs > stallMs) {
      throw new MusterError('DATABASE_UNREACHABLE', `the server has said nothing for ${Math.round(silentMs / 1000)} s`);
    }
    if (silentMs > stallMs / 4 && performance.now() - this.#askedAtMs > stallMs / 4) {
      this.#askedAtMs = performance.now();
      this.#tell(true);
    }
  }

  /** The row behind the stream: the next timeline, and where this one was left. */
  #nextPosition(): WalPosition | null {
    const [timeline, left] = [Number(this.#next?.[0]), parseLsn(this.#next?.[1])];
    if (this.#next === null || left === null) return null;
    const { segmentBytes } = this.#streaming.server;
    return { timeline, lsn: segmentStart(segmentAt(left, segmentBytes), segmentBytes) };
  }
}
