import type { Socket } from 'node:net';
import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { placeOf } from '../../drivers/postgres/conninfo.ts';
import {
  BackendReader,
  sendCommand,
  sendCopyData,
  sendCopyDone,
  ServerComplaint,
  type BackendPiece,
} from '../../drivers/postgres/replication.ts';
import { connectReplication } from '../../drivers/postgres/sql.ts';
import { ReadBuffers } from './read-buffers.ts';

export interface SessionOptions {
  /** `postgres://` address, of a role that may replicate. */
  url: string;
  /** `application_name`: what `pg_stat_replication` and `synchronous_standby_names` call it. */
  name?: string;
  /** Limit for connecting, log-in included; default 3 s. */
  connectMs?: number;
  /** Give up when nothing arrives for this long while something is waited for; default 60 s. */
  stallMs?: number;
  signal?: AbortSignal;
}

export interface OpenOptions extends SessionOptions {
  /** COPY data that `pieces` returns is good until it is called again only: what it lies in is read into anew. */
  reuseBuffers?: boolean;
}

/** How much may wait here to be taken. */
const aheadBytes = 1 << 20;

/** One connection of the replication protocol: commands one behind the other, answers read as fast as they are taken. */
export class ReplicationSession {
  readonly #socket: Socket;
  readonly #url: string;
  readonly #stallMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #reader = new BackendReader();
  #chunks: Buffer[] = [];
  #chunkBytes = 0;
  #failure: Error | null = null;
  #complaint: unknown = null;
  readonly #behind: BackendPiece[] = [];
  /** By this process's monotonic clock. */
  lastReceivedAtMs = performance.now();
  #wake: (() => void) | null = null;
  readonly #buffers: ReadBuffers | null;
  #handedOut = 0;

  private constructor(socket: Socket, buffers: ReadBuffers | null, options: SessionOptions) {
    this.#socket = socket;
    this.#buffers = buffers;
    this.#url = options.url;
    this.#stallMs = options.stallMs ?? 60_000;
    this.#signal = options.signal;
    if (buffers === null) socket.on('data', this.#received);
    else buffers.onRead = this.#received;
    socket.resume();
    socket.on('end', () => this.#fail(new Error('the server ended the connection')));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
    socket.on('error', (err) => this.#fail(err));
    options.signal?.addEventListener('abort', this.#aborted, { once: true });
    if (options.signal?.aborted === true) this.#aborted();
  }

  /** @throws MusterError DATABASE_UNREACHABLE naming host and port */
  static async open(options: OpenOptions): Promise<ReplicationSession> {
    let buffers: ReadBuffers | null = null;
    const makeSocket = (): Socket => (buffers = new ReadBuffers()).socket();
    const { url, connectMs = 3_000, name, reuseBuffers = false } = options;
    const socket = await connectReplication(url, connectMs, name, reuseBuffers ? makeSocket : undefined);
    return new ReplicationSession(socket, buffers, options);
  }

  send(command: string): void {
    sendCommand(this.#socket, command);
  }

  sendCopyData(bytes: Buffer): void {
    if (!this.#socket.destroyed) sendCopyData(this.#socket, bytes);
  }

  sendCopyDone(): void {
    if (!this.#socket.destroyed) sendCopyDone(this.#socket);
  }

  /** The rows of a command that answers with nothing else. */
  async rows(command: string): Promise<(string | null)[][]> {
    this.send(command);
    const rows: (string | null)[][] = [];
    let refusal: unknown = null;
    for (;;) {
      // Behind a refusal the server is ready again: that belongs to this answer, too.
      const pieces = await this.pieces().catch((err: unknown) => {
        if (refusal !== null) throw refusal as Error;
        if (complaintState(err) === null) throw err;
        refusal = err;
        return [];
      });
      for (const piece of pieces) if (piece.kind === 'row') rows.push(piece.columns);
      if (!pieces.some((piece) => piece.kind === 'ready')) continue;
      if (refusal !== null) throw refusal as Error;
      return rows;
    }
  }

  /**
   * What arrived since the last call, or the next that arrives; perhaps nothing whole yet. While nobody asks, little is
   * read: the server waits. With `patienceMs` an empty list comes when nothing has arrived for that long.
   * @throws MusterError DATABASE_UNREACHABLE: the server complains (its SQLSTATE in the cause), the connection ends,
   * nothing arrives for the stall limit, or the session was stopped
   */
  async pieces(patienceMs?: number): Promise<BackendPiece[]> {
    if (this.#complaint !== null) throw this.#named(this.#takeComplaint());
    if (this.#behind.length > 0) return this.#behind.splice(0);
    this.keep()();
    if (this.#chunks.length === 0 && this.#failure === null) await this.#arrival(patienceMs);
    if (this.#chunks.length === 0 && this.#failure !== null) throw this.#named(this.#failure);
    const chunks = this.#chunks;
    [this.#chunks, this.#chunkBytes] = [[], 0];
    this.#handedOut = chunks.length;
    if (this.#socket.isPaused()) this.#socket.resume();
    return this.#cut(chunks);
  }

  /** What the last call of `pieces` returned stays good beyond the next one, until the answer is called. */
  keep(): () => void {
    const release = this.#buffers?.lend(this.#handedOut);
    this.#handedOut = 0;
    return release ?? ((): void => undefined);
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#aborted);
    this.#socket.destroy();
  }

  /** What came before a complaint is handed out first: it may explain it. Then the complaint, then what came behind. */
  #cut(chunks: Buffer[]): BackendPiece[] {
    const pieces: BackendPiece[] = [];
    let into = pieces;
    for (const chunk of chunks) {
      try {
        for (const piece of this.#reader.feed(chunk)) into.push(piece);
      } catch (err) {
        this.#complaint = err;
        into = this.#behind;
        for (const piece of this.#reader.feed(Buffer.alloc(0))) into.push(piece);
      }
    }
    return pieces;
  }

  #takeComplaint(): unknown {
    const complaint = this.#complaint;
    this.#complaint = null;
    return complaint;
  }

  #arrival(patienceMs: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const stalled = (): void => this.#fail(new Error(`nothing arrived for ${Math.round(this.#stallMs / 1000)} s`));
      const timer =
        patienceMs === undefined ? setTimeout(stalled, this.#stallMs) : setTimeout(this.#arrived, patienceMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  readonly #received = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    this.lastReceivedAtMs = performance.now();
    if (this.#chunkBytes >= aheadBytes) this.#socket.pause();
    this.#arrived();
  };

  readonly #arrived = (): void => {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  };

  readonly #aborted = (): void => {
    this.#fail(new Error('stopped'));
  };

  #fail(err: Error): void {
    this.#failure ??= err;
    this.#socket.destroy();
    this.#arrived();
  }

  #named(err: unknown): MusterError {
    const { code, message } = toMusterError(err, 'DATABASE_UNREACHABLE');
    return new MusterError(code, `${placeOf(this.#url)}: ${message}`, { cause: err });
  }
}

/** SQLSTATE of what a server said over the replication protocol; `null` for any other failure. */
export function complaintState(err: unknown): string | null {
  const at = err instanceof MusterError && !(err instanceof ServerComplaint) ? err.cause : err;
  return at instanceof ServerComplaint ? at.sqlState : null;
}

/** Who answers, and what it writes. */
export interface ServerIdentity {
  /** The same for a server and everything cloned from it. */
  systemId: string;
  /** Timeline it writes, or replays. */
  timeline: number;
  /** How far its WAL is on disk. */
  flushLsn: string;
  major: number;
  segmentBytes: number;
}

/** IDENTIFY_SYSTEM and what else the replication protocol tells. */
export async function identifyServer(session: ReplicationSession): Promise<ServerIdentity> {
  const [system] = await session.rows('IDENTIFY_SYSTEM');
  const [version] = await session.rows('SHOW server_version_num');
  const [segment] = await session.rows('SHOW wal_segment_size');
  return {
    systemId: system?.[0] ?? '',
    timeline: Number(system?.[1]),
    flushLsn: system?.[2] ?? '',
    major: Math.floor(Number(version?.[0]) / 10_000),
    segmentBytes: bytesOf(segment?.[0] ?? ''),
  };
}

/** A size as SHOW prints it: `16MB`, `1GB`. */
function bytesOf(text: string): number {
  const match = /^(\d+)(MB|GB)$/.exec(text);
  if (match === null) throw new MusterError('DATABASE_UNREACHABLE', `wal_segment_size of ${text} is not understood`);
  return Number(match[1]) * (match[2] === 'GB' ? 1 << 30 : 1 << 20);
}
