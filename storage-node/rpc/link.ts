import { type Clock } from '../ports.ts';
import { DriveUnavailable } from '../store/drive-api.ts';
import { closedByPeer, Connection, type ConnectionOwner } from './connection.ts';
import { readError } from './error-codec.ts';
import { type Frame, FrameError, frameKind, type TakeTail } from './frame.ts';
import { HandshakeError, judgeHello, type NodeName, readHello, writeHello } from './handshake.ts';
import { type Security } from './identity.ts';
import { type LinkActivity } from './peer-health.ts';
import { connectEvent, dial, type NodeAddress, provenName } from './transport.ts';
import { WireReader } from './wire.ts';

const noCall = { stream: 0, method: 0, drive: 0 };

/** What a stream of a link is for: a call, or a stage. */
export interface StreamOwner {
  /** The answer. False: blocks of it are still to come. Throwing ends the connection. */
  onReply(body: Buffer): boolean;
  /** It failed, or the connection did; the stream is over. */
  onError(error: Error): void;
  /** A block of the answer; its tail is the owner's to release. False: more are to come. */
  onBlock?(frame: Frame): boolean;
  /** A stage may send so many bytes more. */
  onCredit?(bytes: number): void;
  /** Called now and then with the time, for deadlines. */
  onTick?(nowMs: number): void;
}

export interface LinkOptions {
  to: NodeAddress;
  name: NodeName;
  security: Security;
  clock: Clock;
  take: TakeTail;
}

export interface LinkEvents {
  onOpen(): void;
  /** The server takes no new calls here. */
  onGoodbye(): void;
  onClosed(cause: Error): void;
}

/** One connection to a peer, as the node that dialled it sees it: from the first packet to the last. */
export class Link implements ConnectionOwner, LinkActivity {
  readonly connection: Connection;
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #streams = new Map<number, StreamOwner>();
  #state: 'dialling' | 'open' | 'closed' = 'dialling';
  #nextStream = 1;
  #pingSentMs: number | undefined = undefined;
  #pins = 0;
  #nextPin = 1;
  #retiring = false;
  #waitingSinceMs = 0;
  #lastByteMs: number;

  /** Dials at once. @throws HandshakeError for a plain connection that would leave the machine. */
  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#lastByteMs = options.clock.monotonicMs();
    this.#waitingSinceMs = this.#lastByteMs;
    const { to, security, take } = options;
    const encrypted = security.kind === 'tls';
    this.connection = new Connection({ owner: this, take, encrypted }, (feed) => dial(to, security, feed));
    this.connection.socket.once(connectEvent(security), () => {
      const { outbox } = this.connection;
      writeHello(outbox.begin(frameKind.hello, noCall), options.name);
      outbox.end();
    });
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }
  get waiting(): boolean {
    return this.#state === 'open' && (this.#streams.size > 0 || this.#pingSentMs !== undefined);
  }
  get waitingSinceMs(): number {
    return this.#waitingSinceMs;
  }
  get lastByteMs(): number {
    return this.#lastByteMs;
  }
  /** Calls and stages under way. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Opens a stream; the owner then sends what it is about with `connection.outbox`. */
  begin(owner: StreamOwner): number {
    if (!this.waiting) this.#waitingSinceMs = this.#options.clock.monotonicMs();
    const stream = this.#nextStream;
    this.#nextStream = stream >= 0xffff_ffff ? 1 : stream + 1;
    // After 2^32 calls a number comes round again; one that is still in use is passed over.
    if (this.#streams.has(stream)) return this.begin(owner);
    this.#streams.set(stream, owner);
    return stream;
  }
  /** Forgets a stream of which nothing was sent. */
  forget(stream: number): void {
    this.#streams.delete(stream);
    this.#retireIfDone();
  }
  /** Tells the peer that nobody waits for this stream any more. */
  cancel(stream: number): void {
    if (!this.#streams.delete(stream) || this.#state !== 'open') return;
    this.connection.outbox.dropBlocks(stream);
    this.connection.outbox.signal(frameKind.cancel, { ...noCall, stream });
    this.#retireIfDone();
  }

  /** A pin lives on this connection: it is not retired while it has some. @returns its number. */
  takePin(): number {
    this.#pins++;
    return this.#nextPin++;
  }
  dropPin(): void {
    this.#pins--;
    this.#retireIfDone();
  }

  /** Called four times a second. @param lateMs how much later than that: this node was too busy to listen. */
  tick(nowMs: number, options: { lateMs: number; ping: boolean; deadAfterMs: number }): void {
    if (this.#state !== 'open') return;
    // What came meanwhile is not read yet, so the silence may be our own.
    this.#lastByteMs += options.lateMs;
    for (const owner of this.#streams.values()) owner.onTick?.(nowMs);
    const silentMs = nowMs - Math.max(this.#waitingSinceMs, this.#lastByteMs);
    if (this.waiting && silentMs > options.deadAfterMs) {
      return this.close(new Error(`the peer was silent for ${Math.round(silentMs)} ms`));
    }
    if (this.#pingSentMs !== undefined || !(options.ping || this.#streams.size > 0)) return;
    if (!this.waiting) this.#waitingSinceMs = nowMs;
    this.#pingSentMs = nowMs;
    this.connection.outbox.signal(frameKind.ping, noCall);
  }

  /** No new calls: closes when those under way, and its pins, are done. */
  retire(): void {
    this.#retiring = true;
    this.#retireIfDone();
  }
  close(cause: Error): void {
    this.connection.close(cause);
  }

  onBytes(): void {
    this.#lastByteMs = this.#options.clock.monotonicMs();
  }

  onMessage(frame: Frame): void {
    if (this.#state === 'dialling') return this.#onGreeting(frame);
    switch (frame.kind) {
      case frameKind.reply:
        if (this.#streams.get(frame.stream)?.onReply(frame.body) === true) this.#streams.delete(frame.stream);
        break;
      case frameKind.error:
        this.#onError(frame);
        break;
      case frameKind.block:
        this.#onBlock(frame);
        break;
      case frameKind.credit:
        this.#streams.get(frame.stream)?.onCredit?.(new WireReader(frame.body).count());
        break;
      case frameKind.pong:
        this.#pingSentMs = undefined;
        break;
      case frameKind.goodbye:
        this.#events.onGoodbye();
        break;
      default:
        throw new FrameError(`a frame of kind ${frame.kind} is not the dialled side's to send`);
    }
    if (this.#retiring) this.#retireIfDone();
  }

  onClosed(cause: Error): void {
    // A node that believes no certificate of ours can only hang up.
    const hungUp = this.#state === 'dialling' && cause.message === closedByPeer;
    this.#state = 'closed';
    const owners = [...this.#streams.values()];
    this.#streams.clear();
    const { nodeId } = this.#options.to;
    for (const owner of owners) owner.onError(new DriveUnavailable(`node ${nodeId}: ${cause.message}`, { cause }));
    this.#events.onClosed(hungUp ? new Error(`${cause.message} in the handshake; its log says why`, { cause }) : cause);
  }

  #onGreeting(frame: Frame): void {
    frame.tail?.release();
    if (frame.kind === frameKind.error) {
      throw new HandshakeError(
        `node ${this.#options.to.nodeId} refuses: ${readError(new WireReader(frame.body)).message}`,
      );
    }
    if (frame.kind !== frameKind.hello) throw new HandshakeError('the peer speaks another protocol');
    const { name, to } = this.#options;
    const certified = provenName(this.connection.socket);
    judgeHello(readHello(frame.body), { clusterId: name.clusterId, certified, expected: to.nodeId });
    this.#state = 'open';
    this.connection.open();
    this.#events.onOpen();
  }

  #onError(frame: Frame): void {
    const owner = this.#streams.get(frame.stream);
    this.#streams.delete(frame.stream);
    owner?.onError(readError(new WireReader(frame.body)));
  }

  #onBlock(frame: Frame): void {
    const owner = this.#streams.get(frame.stream);
    if (owner?.onBlock === undefined) frame.tail?.release();
    else if (owner.onBlock(frame)) this.#streams.delete(frame.stream);
  }

  #retireIfDone(): void {
    if (!this.#retiring || this.#streams.size > 0 || this.#pins > 0) return;
    this.#retiring = false;
    this.connection.closeGently(new Error('another connection took its place'), 1_000);
  }
}
