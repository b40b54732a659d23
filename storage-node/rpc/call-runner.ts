import { StorageError } from '../errors.ts';
import { type BlocksReply, type CallOptions, DriveUnavailable } from '../store/drive-api.ts';
import { writeBlocksHead } from './blocks-codec.ts';
import { type CallCodec } from './call-codec.ts';
import { type Connection } from './connection.ts';
import { controlCall } from './control-codec.ts';
import { writeError } from './error-codec.ts';
import { type Frame, FrameError, frameKind } from './frame.ts';
import { heldBytesMax, runningCallsMax as defaultRunningCallsMax, waitingCallsMax } from './limits.ts';
import { methodIds } from './methods.ts';
import { type Responder, servedCalls } from './served-calls.ts';
import { type RpcServerOptions } from './server-options.ts';
import { WireError, WireReader } from './wire.ts';

const noOptions: CallOptions = {};

/** Runs the calls of one connection, so many at a time, in the order in which they came. */
export class CallRunner {
  readonly #options: RpcServerOptions;
  readonly #connection: Connection;
  readonly #running = new Map<number, RunningCall>();
  /** In the order of their coming. */
  readonly #waiting = new Map<number, Frame>();
  // One iterator for long: a new one would have to pass over all that left before.
  #queue = this.#waiting.values();
  #heldBytes = 0;
  /** Called when a call has ended. */
  onEnded: () => void = () => {};
  /** Who asks. */
  from = '';

  constructor(connection: Connection, options: RpcServerOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Bytes of the calls that run and wait. */
  get heldBytes(): number {
    return this.#heldBytes;
  }
  get size(): number {
    return this.#running.size + this.#waiting.size;
  }

  start(frame: Frame): void {
    const { stream } = frame;
    if (this.#running.has(stream) || this.#waiting.has(stream))
      throw new FrameError(`stream ${stream} is open already`);
    if (this.#waiting.size >= waitingCallsMax) {
      return sendError(this.#connection, stream, new StorageError('Busy', 'too many calls wait at this node'));
    }
    this.#heldBytes += frame.bodyBytes;
    if (this.#waiting.size === 0 && this.#mayRun()) return this.#run(frame);
    this.#waiting.set(stream, frame);
  }

  /** Starts what waits, as far as there is room: among the calls, and for their answers. */
  startWaiting(): void {
    while (this.#waiting.size > 0 && this.#mayRun()) {
      const next = this.#queue.next();
      if (next.done === true) {
        this.#queue = this.#waiting.values();
        continue;
      }
      this.#waiting.delete(next.value.stream);
      this.#run(next.value);
    }
  }

  /** The peer does not want the answer any more. */
  cancel(stream: number): void {
    const running = this.#running.get(stream);
    if (running !== undefined) return running.cancel();
    const frame = this.#waiting.get(stream);
    if (frame === undefined) return;
    this.#waiting.delete(stream);
    this.#heldBytes -= frame.bodyBytes;
  }

  /** The connection is gone: nobody waits for any answer. */
  close(): void {
    this.#waiting.clear();
    for (const call of [...this.#running.values()]) call.cancel();
  }

  #mayRun(): boolean {
    const { runningCallsMax = defaultRunningCallsMax } = this.#options;
    return this.#running.size < runningCallsMax && this.#connection.outbox.queuedBytes < heldBytesMax;
  }

  #run(frame: Frame): void {
    const call = new RunningCall(this.#connection, frame.stream, () => this.#ended(frame));
    this.#running.set(frame.stream, call);
    try {
      if (frame.method === methodIds.control) this.#runControl(frame, call);
      else this.#runDriveCall(frame, call);
    } catch (error) {
      call.fail(error);
    }
  }

  #runDriveCall(frame: Frame, call: RunningCall): void {
    const served = servedCalls.get(frame.method);
    if (served === undefined) throw new StorageError('Internal', `this node knows no method ${frame.method}`);
    const drive = this.#options.drives.get(frame.drive);
    if (drive === undefined) throw new DriveUnavailable(`this node has no drive ${frame.drive}`);
    served.run(drive, frame.body, call, served.cancellable ? call.cancellable() : noOptions);
  }

  #runControl(frame: Frame, call: RunningCall): void {
    const reader = new WireReader(frame.body);
    const { name, body } = controlCall.readRequest(reader);
    reader.end();
    const handle = this.#options.controls.get(name);
    if (handle === undefined) throw new StorageError('Internal', `this node knows no call ${name}`);
    // A handler may answer at once or later.
    Promise.resolve(handle(body, this.from)).then(
      (reply) => call.answer(controlCall, reply),
      (error: unknown) => call.fail(error),
    );
  }

  #ended(frame: Frame): void {
    this.#running.delete(frame.stream);
    this.#heldBytes -= frame.bodyBytes;
    this.startWaiting();
    this.onEnded();
  }
}

/** One call a drive works on. */
class RunningCall implements Responder {
  readonly #connection: Connection;
  readonly #stream: number;
  readonly #ended: () => void;
  #abort: AbortController | undefined = undefined;
  #cancelled = false;

  constructor(connection: Connection, stream: number, ended: () => void) {
    this.#connection = connection;
    this.#stream = stream;
    this.#ended = ended;
  }

  cancellable(): CallOptions {
    this.#abort = new AbortController();
    return { signal: this.#abort.signal };
  }

  cancel(): void {
    this.#cancelled = true;
    this.#abort?.abort();
    // Blocks that wait to leave belong to an answer nobody takes.
    this.#connection.outbox.dropBlocks(this.#stream);
  }

  answer<Reply>(codec: Pick<CallCodec<never, Reply>, 'writeReply'>, reply: Reply): void {
    if (!this.#silent()) {
      const { outbox } = this.#connection;
      const writer = outbox.begin(frameKind.reply, { stream: this.#stream, method: 0, drive: 0 });
      try {
        codec.writeReply(writer, reply);
        outbox.end();
      } catch (error) {
        outbox.undo();
        sendError(this.#connection, this.#stream, error);
      }
    }
    this.#ended();
  }

  /** The answer goes ahead, its blocks follow among the bulk; the call ends with the last of them. */
  answerBlocks(reply: BlocksReply): void {
    if (reply.kind !== 'blocks') {
      this.answer({ writeReply: writeBlocksHead }, reply);
      return;
    }
    if (this.#silent()) {
      reply.release();
      return this.#ended();
    }
    const { outbox } = this.#connection;
    let left = reply.blocks.length + 1;
    const release = (): void => {
      if (--left > 0) return;
      reply.release();
      this.#ended();
    };
    writeBlocksHead(outbox.begin(frameKind.reply, { stream: this.#stream, method: 0, drive: 0 }), reply);
    outbox.end();
    for (const { index, checksum, payload } of reply.blocks) {
      outbox.block({ stream: this.#stream, index, checksum, payload, release });
    }
    release();
  }

  fail(error: unknown): void {
    if (!this.#silent()) sendError(this.#connection, this.#stream, error);
    this.#ended();
  }

  #silent(): boolean {
    return this.#cancelled || this.#connection.closed;
  }
}

/** Answers a stream with what went wrong. */
export function sendError(connection: Connection, stream: number, error: unknown): void {
  const { outbox } = connection;
  const shown = error instanceof WireError ? new StorageError('Internal', `unreadable call: ${error.message}`) : error;
  writeError(outbox.begin(frameKind.error, { stream, method: 0, drive: 0 }), shown);
  outbox.end();
}
