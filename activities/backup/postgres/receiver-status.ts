import type { MusterError } from '../../../workflows/engine/errors.ts';
import { formatLsn } from '../../drivers/postgres/lsn.ts';
import type { ReplicationSession } from './replication-session.ts';
import type { WalPosition } from './stream-position.ts';

/** What a receiver knows of itself. What is not known now is `null`, never a figure from before. */
export interface ReceiverStatus {
  state: 'connecting' | 'streaming' | 'waiting' | 'stopped';
  timeline: number | null;
  /** Received and handed to the operating system up to here. */
  writtenLsn: string | null;
  /** On disk up to here, and confirmed to the server. Stays true when the stream breaks. */
  flushedLsn: string | null;
  /** End of the server's WAL as it last said; only while streaming. */
  serverLsn: string | null;
  /** `serverLsn − flushedLsn` as of the last message: read it together with that message's age. */
  lagBytes: number | null;
  /** Since the server last said anything; only while streaming. A server that is asked answers within milliseconds. */
  replyAgeMs: number | null;
  /** Why the last connection ended; `null` while streaming. */
  why: string | null;
}

export class ReceiverProgress {
  #state: ReceiverStatus['state'] = 'connecting';
  #session: ReplicationSession | null = null;
  #timeline: number | null = null;
  #writtenLsn: bigint | null = null;
  #flushedLsn: bigint | null = null;
  #serverLsn: bigint | null = null;
  #why: string | null = null;
  #wasStreaming = false;

  streaming(position: WalPosition, session: ReplicationSession): void {
    this.#state = 'streaming';
    this.#session = session;
    // What was received of another timeline may lie beyond the point where this one left it.
    if (this.#timeline !== position.timeline) this.#flushedLsn = null;
    this.#timeline = position.timeline;
    this.#why = null;
    this.#serverLsn = null;
  }

  heard(serverLsn: bigint): void {
    this.#serverLsn = serverLsn;
    this.#wasStreaming = true;
  }

  written(lsn: bigint): void {
    this.#writtenLsn = lsn;
  }

  /** A stream begins again before its end: what was on disk already stays known. */
  flushed(lsn: bigint): void {
    if (this.#flushedLsn === null || lsn > this.#flushedLsn) this.#flushedLsn = lsn;
  }

  disconnected(failure: MusterError): void {
    [this.#state, this.#session, this.#serverLsn, this.#why] = ['waiting', null, null, failure.message];
  }

  stopped(): void {
    [this.#state, this.#session, this.#serverLsn] = ['stopped', null, null];
  }

  /** Whether anything came since this was asked last. */
  takeWasStreaming(): boolean {
    const was = this.#wasStreaming;
    this.#wasStreaming = false;
    return was;
  }

  status(): ReceiverStatus {
    const text = (lsn: bigint | null): string | null => (lsn === null ? null : formatLsn(lsn));
    const [server, flushed] = [this.#serverLsn, this.#flushedLsn];
    const lag = server === null || flushed === null ? null : Number(server - flushed);
    return {
      state: this.#state,
      timeline: this.#timeline,
      writtenLsn: text(this.#writtenLsn),
      flushedLsn: text(flushed),
      serverLsn: text(server),
      lagBytes: lag === null ? null : Math.max(0, lag),
      replyAgeMs: this.#session === null ? null : Math.max(0, performance.now() - this.#session.lastReceivedAtMs),
      why: this.#why,
    };
  }
}
