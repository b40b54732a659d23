import { type DriveApi, type StageWriter } from '../store/drive-api.ts';
import { readBlockBody, readStageRequest } from './blocks-codec.ts';
import { type Connection } from './connection.ts';
import { type Frame, FrameError, frameKind, maxTailBytes } from './frame.ts';
import { stageWindowBytes } from './limits.ts';
import { WireReader } from './wire.ts';

interface Stage {
  writer: StageWriter;
  /** Bytes the drive was given and has not taken yet. */
  heldBytes: number;
  /** Bytes it has taken that the peer was not told of yet. */
  owedBytes: number;
  finishing: boolean;
}

/** How an ended stage is answered. */
export interface StageAnswers {
  done(stream: number): void;
  failed(stream: number, error: unknown): void;
}

/** The stages a peer has under way on one connection. */
export class ServedStages {
  readonly #connection: Connection;
  readonly #answers: StageAnswers;
  readonly #stages = new Map<number, Stage>();

  constructor(connection: Connection, answers: StageAnswers) {
    this.#connection = connection;
    this.#answers = answers;
  }

  get size(): number {
    return this.#stages.size;
  }

  /** @throws what the message or the drive makes it throw. */
  open(drive: DriveApi, frame: Frame): void {
    if (this.#stages.has(frame.stream)) throw new FrameError(`stream ${frame.stream} is open already`);
    const reader = new WireReader(frame.body);
    const request = readStageRequest(reader);
    reader.end();
    const writer = drive.stage(request);
    this.#stages.set(frame.stream, { writer, heldBytes: 0, owedBytes: 0, finishing: false });
  }

  /** A block that belongs to no stage is of one that failed or was given up; the peer learns or knows it. */
  block(frame: Frame): void {
    const { tail, tailBytes, stream } = frame;
    const stage = this.#stages.get(stream);
    if (stage === undefined || stage.finishing || tail === undefined) return tail?.release();
    stage.heldBytes += tailBytes;
    if (stage.heldBytes > stageWindowBytes + maxTailBytes) {
      tail.release();
      throw new FrameError('a stage sends more than its window');
    }
    const release = (): void => {
      tail.release();
      this.#credit(stream, stage, tailBytes);
    };
    try {
      const payload = tail.bytes.subarray(0, tailBytes);
      stage.writer.write({ ...readBlockBody(frame.body), payload, place: tail.place }, release);
    } catch (error) {
      release();
      this.#stages.delete(stream);
      stage.writer.abort();
      this.#answers.failed(stream, error);
    }
  }

  finish(stream: number): void {
    const stage = this.#stages.get(stream);
    if (stage === undefined || stage.finishing) return;
    stage.finishing = true;
    stage.writer.finish().then(
      () => {
        if (this.#stages.delete(stream)) this.#answers.done(stream);
      },
      (error: unknown) => {
        // The peer hears that it is over, and has nothing left to give up.
        stage.writer.abort();
        if (this.#stages.delete(stream)) this.#answers.failed(stream, error);
      },
    );
  }

  /** False: no such stage. */
  abort(stream: number): boolean {
    const stage = this.#stages.get(stream);
    if (stage === undefined) return false;
    this.#stages.delete(stream);
    stage.writer.abort();
    return true;
  }

  abortAll(): void {
    for (const stream of [...this.#stages.keys()]) this.abort(stream);
  }

  #credit(stream: number, stage: Stage, bytes: number): void {
    stage.heldBytes -= bytes;
    stage.owedBytes += bytes;
    // A window's eighth at a time, and always the last: the peer's queue must be seen to become empty.
    if (stage.owedBytes < stageWindowBytes / 8 && stage.heldBytes > 0) return;
    if (this.#connection.closed || this.#stages.get(stream) !== stage) return;
    const { outbox } = this.#connection;
    outbox.begin(frameKind.credit, { stream, method: 0, drive: 0 }).count(stage.owedBytes);
    outbox.end();
    stage.owedBytes = 0;
  }
}
