import { type Socket } from 'node:net';
import { type Timer } from '../ports.ts';
import { readPin } from './blocks-codec.ts';
import { CallRunner, sendError } from './call-runner.ts';
import { Connection, type ConnectionOwner } from './connection.ts';
import { decides } from './drive-codec.ts';
import { type Frame, FrameError, frameKind } from './frame.ts';
import { HandshakeError, judgeHello, type NodeName, readHello, writeHello } from './handshake.ts';
import { heldBytesMax, helloTimeoutMs, silentPeerMs } from './limits.ts';
import { methodIds } from './methods.ts';
import { ServedStages } from './served-stages.ts';
import { type RpcServerOptions } from './server-options.ts';
import { readAccepted } from './socket-reading.ts';
import { WireError, WireReader } from './wire.ts';

const noCall = { stream: 0, method: 0, drive: 0 };
/** A peer that was turned away gets so long to read why, milliseconds. */
const farewellMs = 1_000;

/** One peer's connection as the node that was dialled sees it. Nothing reaches a drive before the peer said who it is. */
export class Session implements ConnectionOwner {
  readonly #options: RpcServerOptions;
  readonly #certified: NodeName | undefined;
  readonly #ended: () => void;
  readonly #from: string;
  readonly #connection: Connection;
  readonly #calls: CallRunner;
  readonly #stages: ServedStages;
  readonly #pins = new Map<number, { release: () => void }>();
  readonly #helloTimer: Timer;
  #state: 'new' | 'open' | 'refused' = 'new';
  #paused = false;

  /** @param certified what the peer's certificate proved; undefined without TLS */
  constructor(socket: Socket, certified: NodeName | undefined, options: RpcServerOptions, ended: () => void) {
    this.#options = options;
    this.#certified = certified;
    this.#ended = ended;
    this.#from = socket.remoteAddress ?? 'a peer that is gone';
    const encrypted = options.security.kind === 'tls';
    this.#connection = new Connection({ owner: this, take: options.take, encrypted }, (feed) => {
      readAccepted(socket, feed);
      return socket;
    });
    this.#calls = new CallRunner(this.#connection, options);
    this.#calls.onEnded = () => this.#balance();
    this.#connection.outbox.onProgress = () => {
      this.#calls.startWaiting();
      this.#balance();
    };
    this.#stages = new ServedStages(this.#connection, {
      done: (stream) => this.#connection.outbox.signal(frameKind.reply, { ...noCall, stream }),
      failed: (stream, error) => sendError(this.#connection, stream, error),
    });
    // A peer pings every second; one that is gone without a word must not hold pins and stages for ever.
    socket.setTimeout(silentPeerMs, () => this.#connection.close(new Error('the peer was silent for too long')));
    this.#helloTimer = options.clock.setTimer(helloTimeoutMs, () => {
      if (this.#state === 'new') this.#connection.close(new HandshakeError('the peer did not say who it is'));
    });
  }

  /** Calls and stages under way. */
  get busy(): boolean {
    return this.#calls.size > 0 || this.#stages.size > 0;
  }

  onMessage(frame: Frame): void {
    if (this.#state === 'open') return this.#onOpenMessage(frame);
    frame.tail?.release();
    if (this.#state === 'refused') return;
    try {
      if (frame.kind !== frameKind.hello) throw new HandshakeError('the peer speaks another protocol');
      this.#greet(frame.body);
    } catch (error) {
      this.#refuse(error instanceof Error ? error : new Error(String(error)));
    }
  }

  onClosed(cause: Error): void {
    this.#helloTimer.cancel();
    this.#calls.close();
    this.#stages.abortAll();
    for (const pin of this.#pins.values()) pin.release();
    this.#pins.clear();
    if (cause instanceof FrameError || cause instanceof HandshakeError || cause instanceof WireError) {
      this.#options.refused?.(cause.message, this.#from);
    }
    this.#ended();
  }

  /** Asks the peer for no more calls on this connection. */
  sayGoodbye(): void {
    if (this.#state === 'open') this.#connection.outbox.signal(frameKind.goodbye, noCall);
  }

  close(cause: Error): void {
    this.#connection.close(cause);
  }

  #greet(body: Buffer): void {
    const hello = readHello(body);
    const { name } = this.#options;
    judgeHello(hello, { clusterId: name.clusterId, certified: this.#certified, expected: undefined });
    this.#helloTimer.cancel();
    this.#state = 'open';
    this.#calls.from = hello.nodeId;
    this.#connection.open();
    const { outbox } = this.#connection;
    writeHello(outbox.begin(frameKind.hello, noCall), name);
    outbox.end();
  }

  #refuse(cause: Error): void {
    this.#state = 'refused';
    this.#options.refused?.(cause.message, this.#from);
    sendError(this.#connection, 0, cause);
    this.#connection.closeGently(new Error('the peer was turned away'), farewellMs);
  }

  #onOpenMessage(frame: Frame): void {
    switch (frame.kind) {
      case frameKind.call:
        this.#onCall(frame);
        break;
      case frameKind.block:
        this.#stages.block(frame);
        break;
      case frameKind.oneWay:
        this.#onOneWay(frame);
        break;
      case frameKind.finish:
        this.#stages.finish(frame.stream);
        break;
      case frameKind.cancel:
        if (!this.#stages.abort(frame.stream)) this.#calls.cancel(frame.stream);
        break;
      case frameKind.ping:
        this.#connection.outbox.signal(frameKind.pong, noCall);
        break;
      default:
        throw new FrameError(`a frame of kind ${frame.kind} is not the dialling side's to send`);
    }
    this.#balance();
  }

  #onCall(frame: Frame): void {
    if (frame.method !== methodIds.stage) return this.#calls.start(frame);
    const drive = this.#options.drives.get(frame.drive);
    try {
      if (drive === undefined) throw new Error(`this node has no drive ${frame.drive}`);
      this.#stages.open(drive, frame);
    } catch (error) {
      if (error instanceof FrameError) throw error;
      sendError(this.#connection, frame.stream, error);
    }
  }

  /** Nobody waits for these, so what is wrong with one ends the connection: it would never be noticed otherwise. */
  #onOneWay(frame: Frame): void {
    const reader = new WireReader(frame.body);
    if (frame.method === methodIds.unpin) {
      const pin = reader.count();
      this.#pins.get(pin)?.release();
      this.#pins.delete(pin);
      return;
    }
    const drive = this.#options.drives.get(frame.drive);
    if (drive === undefined) return;
    if (frame.method === methodIds.decide) drive.decide(decides.read(reader));
    else if (frame.method === methodIds.pin) {
      const { pin, dataIds } = readPin(reader);
      this.#pins.set(pin, drive.pin(dataIds));
    } else throw new FrameError(`method ${frame.method} is not one way`);
  }

  /** Stops reading while calls or answers take too much memory, and goes on when they do not. */
  #balance(): void {
    const { outbox, socket, closed } = this.#connection;
    const tooMuch = this.#calls.heldBytes > heldBytesMax || outbox.queuedBytes > heldBytesMax;
    if (closed || tooMuch === this.#paused) return;
    this.#paused = tooMuch;
    if (tooMuch) socket.pause();
    else socket.resume();
  }
}
