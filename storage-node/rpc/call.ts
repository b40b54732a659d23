import { StorageError } from '../errors.ts';
import { type Clock, type Timer } from '../ports.ts';
import { type CallOptions, DriveUnavailable } from '../store/drive-api.ts';
import { type CallCodec } from './call-codec.ts';
import { type LinkUser } from './channel.ts';
import { frameKind } from './frame.ts';
import { type Link, type StreamOwner } from './link.ts';
import { type RemoteDriveHealth } from './peer-health.ts';
import { WireReader, type WireWriter } from './wire.ts';

/** A deadline shorter than this has a timer of its own; longer ones are looked at four times a second. */
const preciseBelowMs = 1_000;

/** What a call is about, beside its request. */
export interface CallTarget {
  clock: Clock;
  drive: number;
  /** Told of the answers; undefined where no drive is asked. */
  health: RemoteDriveHealth | undefined;
  options: CallOptions | undefined;
  /** Used where the options say none. */
  deadlineMs: number;
}

/** One question to a peer that has one answer. Settles its promise exactly once, whatever happens. */
export abstract class PendingCall<Reply> implements LinkUser, StreamOwner {
  protected readonly target: CallTarget;
  readonly #isRead: boolean;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: Error) => void;
  readonly #expiresAtMs: number;
  #timer: Timer | undefined = undefined;
  #onAbort: (() => void) | undefined = undefined;
  #link: Link | undefined = undefined;
  #stream = 0;
  #readStartedMs: number | undefined = undefined;
  #settled = false;

  constructor(
    target: CallTarget,
    isRead: boolean,
    settle: { resolve: (reply: Reply) => void; reject: (error: Error) => void },
  ) {
    this.target = target;
    this.#isRead = isRead;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
    const { clock, options } = target;
    const deadlineMs = options?.deadlineMs ?? target.deadlineMs;
    this.#expiresAtMs = clock.monotonicMs() + deadlineMs;
    if (deadlineMs < preciseBelowMs) this.#timer = clock.setTimer(deadlineMs, () => this.#expire());
    const signal = options?.signal;
    if (signal === undefined) return;
    this.#onAbort = () => this.#giveUp(new DriveUnavailable('the caller gave the call up'));
    // Not now: the class that extends this one is not made yet.
    if (signal.aborted) queueMicrotask(this.#onAbort);
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  protected abstract readonly method: number;
  protected abstract writeRequest(writer: WireWriter): void;
  /** False: blocks of the answer are still to come. Calls `succeed` with the whole of it. */
  abstract onReply(body: Buffer): boolean;
  /** What the call holds is not wanted any more. */
  protected discard(): void {}

  start(link: Link): void {
    if (this.#settled || this.target.options?.signal?.aborted === true) return;
    this.#link = link;
    this.#stream = link.begin(this);
    if (this.#isRead) this.#readStartedMs = this.target.health?.readStarted();
    const { outbox } = link.connection;
    const { method } = this;
    const writer = outbox.begin(frameKind.call, { stream: this.#stream, method, drive: this.target.drive });
    try {
      this.writeRequest(writer);
      outbox.end();
    } catch (error) {
      outbox.undo();
      link.forget(this.#stream);
      return this.#fail(error instanceof Error ? error : new Error(String(error)), 'failed');
    }
  }

  onError(error: Error): void {
    // Only a drive's own answer is held against it; a lost connection is its node's.
    if (this.#link?.isOpen === true && error instanceof DriveUnavailable) this.target.health?.unavailable();
    this.#fail(error, 'failed');
  }

  onTick(nowMs: number): void {
    if (nowMs >= this.#expiresAtMs) this.#expire();
  }

  protected get settled(): boolean {
    return this.#settled;
  }

  protected succeed(reply: Reply): void {
    if (!this.#settle('answered')) return;
    this.#resolve(reply);
  }

  #expire(): void {
    this.#giveUp(new StorageError('Busy', 'the drive did not answer in time'));
  }

  #giveUp(error: Error): void {
    if (this.#settled) return;
    this.#link?.cancel(this.#stream);
    this.#fail(error, 'gave-up');
  }

  #fail(error: Error, how: 'gave-up' | 'failed'): void {
    if (!this.#settle(how)) return;
    this.discard();
    this.#reject(error);
  }

  #settle(how: 'answered' | 'gave-up' | 'failed'): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#timer?.cancel();
    if (this.#onAbort !== undefined) this.target.options?.signal?.removeEventListener('abort', this.#onAbort);
    if (this.#readStartedMs !== undefined) this.target.health?.readEnded(this.#readStartedMs, how);
    return true;
  }
}

/** A call whose answer is one message. */
export class UnaryCall<Request, Reply> extends PendingCall<Reply> {
  readonly #codec: CallCodec<Request, Reply>;
  readonly #request: Request;

  constructor(
    codec: CallCodec<Request, Reply>,
    request: Request,
    target: CallTarget,
    settle: { resolve: (reply: Reply) => void; reject: (error: Error) => void },
  ) {
    super(target, codec.isRead, settle);
    this.#codec = codec;
    this.#request = request;
  }

  protected get method(): number {
    return this.#codec.method;
  }
  protected writeRequest(writer: WireWriter): void {
    this.#codec.writeRequest(writer, this.#request);
  }
  onReply(body: Buffer): boolean {
    const reader = new WireReader(body);
    const reply = this.#codec.readReply(reader);
    reader.end();
    this.succeed(reply);
    return true;
  }
}
