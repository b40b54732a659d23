import { type Socket } from 'node:net';
import { type Frame, FrameError, frameKind, maxMessageBytes, moreFlag, type TakeTail } from './frame.ts';
import { Intake } from './intake.ts';
import { Outbox } from './outbox.ts';
import { type Feed } from './socket-reading.ts';

/** What a connection tells its owner. */
export interface ConnectionOwner {
  /** A whole message; `frame.tail`, if there is one, is the owner's to release. Throwing ends the connection. */
  onMessage(frame: Frame): void;
  /** The connection is gone; called once. */
  onClosed(cause: Error): void;
  /** Bytes arrived, whatever they say. */
  onBytes?(): void;
}

export interface ConnectionOptions {
  owner: ConnectionOwner;
  /** Where tails go. */
  take: TakeTail;
  encrypted: boolean;
}

/** Why a connection ended that the peer ended without a word. */
export const closedByPeer = 'the peer closed the connection';

/** One socket that carries messages both ways, whoever dialled. */
export class Connection {
  readonly socket: Socket;
  readonly outbox: Outbox;
  readonly #owner: ConnectionOwner;
  readonly #intake: Intake;
  /** Messages of which some pieces are here, by stream and kind. */
  readonly #partial = new Map<number, { pieces: Buffer[]; bytes: number }>();
  #open = false;
  #closed = false;

  /** @param openSocket is given what the socket has to feed, and dials or adopts the socket. */
  constructor(options: ConnectionOptions, openSocket: (feed: Feed) => Socket) {
    this.#owner = options.owner;
    this.#intake = new Intake(options.take, (frame) => this.#onFrame(frame));
    this.socket = openSocket({
      next: () => this.#intake.next(),
      taken: (count) => this.#taken(count),
    });
    this.outbox = new Outbox(this.socket, options);
    this.socket.setNoDelay(true);
    this.socket.on('error', (cause) => this.close(cause));
    this.socket.on('end', () => this.close(new Error(closedByPeer)));
    this.socket.on('close', () => this.close(new Error('the connection was closed')));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** After the handshake: messages of full size are taken from now on. */
  open(): void {
    this.#open = true;
    this.#intake.open();
  }

  /** Ends it at once. Idempotent. */
  close(cause: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    // First the socket: until its handle is gone it may still write into what the intake holds.
    this.socket.destroy();
    this.#intake.close();
    this.outbox.close();
    this.#partial.clear();
    this.#owner.onClosed(cause);
  }

  /** Ends it once everything queued has left, and no later than after `withinMs`. */
  closeGently(cause: Error, withinMs: number): void {
    const timer = setTimeout(() => this.close(cause), withinMs).unref();
    const look = (): void => {
      if (this.#closed) return clearTimeout(timer);
      if (this.outbox.queuedBytes > 0) return;
      clearTimeout(timer);
      this.socket.end(() => this.close(cause));
    };
    this.outbox.onProgress = look;
    look();
  }

  #taken(count: number): void {
    try {
      this.#owner.onBytes?.();
      this.#intake.advance(count);
    } catch (cause) {
      this.close(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  #onFrame(frame: Frame): void {
    const more = (frame.flags & moreFlag) !== 0;
    if (frame.kind === frameKind.block || (!more && this.#partial.size === 0)) return this.#owner.onMessage(frame);
    // Other messages of the stream, such as a cancel, may come between the pieces of one.
    const key = frame.stream * 16 + frame.kind;
    const partial = this.#partial.get(key);
    if (!more && partial === undefined) return this.#owner.onMessage(frame);
    if (!this.#open) throw new FrameError('a long message before the handshake');
    const held = partial ?? { pieces: [], bytes: 0 };
    held.pieces.push(frame.body);
    held.bytes += frame.body.length;
    if (held.bytes > maxMessageBytes) throw new FrameError(`a message of more than ${maxMessageBytes} bytes`);
    if (more) {
      this.#partial.set(key, held);
      return;
    }
    this.#partial.delete(key);
    this.#owner.onMessage({ ...frame, bodyBytes: held.bytes, body: Buffer.concat(held.pieces, held.bytes) });
  }
}
