import { DriveUnavailable, type StageRequest, type StageWriter } from '../store/drive-api.ts';
import { writeStageRequest } from './blocks-codec.ts';
import { type LinkUser } from './channel.ts';
import { frameKind } from './frame.ts';
import { stageWindowBytes } from './limits.ts';
import { type Link, type StreamOwner } from './link.ts';
import { methodIds } from './methods.ts';

interface WaitingBlock {
  index: number;
  payload: Uint8Array;
  checksum: bigint;
  release: () => void;
}

/** A stage on a drive of another node: sends no more than the drive's window, whatever it is given. */
export class RemoteStage implements StageWriter, LinkUser, StreamOwner {
  onProgress: (() => void) | undefined = undefined;
  readonly #request: StageRequest;
  readonly #drive: number;
  readonly #unstage: () => void;
  #link: Link | undefined = undefined;
  #stream = 0;
  #waiting: WaitingBlock[] = [];
  /** Sent, and not yet taken by the drive. */
  #sentBytes = 0;
  #queuedBytes = 0;
  #finishing: { resolve: () => void; reject: (error: Error) => void } | undefined = undefined;
  #finishSent = false;
  #failure: Error | undefined = undefined;

  /** @param unstage asks the drive to give the data up that it has in full; its outcome is nobody's business */
  constructor(request: StageRequest, drive: number, unstage: () => void) {
    this.#request = request;
    this.#drive = drive;
    this.#unstage = unstage;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  write(block: { index: number; payload: Uint8Array; checksum: bigint }, release: () => void): void {
    if (this.#failure !== undefined) return release();
    this.#queuedBytes += block.payload.length;
    this.#waiting.push({ ...block, release });
    this.#send();
  }

  finish(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#finishing = { resolve, reject };
      this.#send();
    });
  }

  abort(): void {
    if (this.#failure !== undefined) return;
    this.#link?.cancel(this.#stream);
    this.onError(new DriveUnavailable('the stage was given up'));
    // To the drive a stage that it has finished is over, whether or not its answer has come here.
    if (this.#finishSent) this.#unstage();
  }

  start(link: Link): void {
    if (this.#failure !== undefined) return;
    this.#link = link;
    this.#stream = link.begin(this);
    const { outbox } = link.connection;
    const address = { stream: this.#stream, method: methodIds.stage, drive: this.#drive };
    writeStageRequest(outbox.begin(frameKind.call, address), this.#request);
    outbox.end();
    this.#send();
  }

  onReply(): boolean {
    // The drive has everything, whether or not it said so of each block.
    this.#queuedBytes = 0;
    this.#finishing?.resolve();
    this.#finishing = undefined;
    return true;
  }

  onError(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const block of this.#waiting.splice(0)) block.release();
    this.#queuedBytes = 0;
    this.#finishing?.reject(error);
    this.#finishing = undefined;
    this.onProgress?.();
  }

  onCredit(bytes: number): void {
    this.#sentBytes -= bytes;
    this.#queuedBytes -= bytes;
    this.#send();
    this.onProgress?.();
  }

  #send(): void {
    const link = this.#link;
    if (link === undefined || this.#failure !== undefined) return;
    const { outbox } = link.connection;
    let sent = 0;
    for (const { index, payload, checksum, release } of this.#waiting) {
      if (this.#sentBytes > 0 && this.#sentBytes + payload.length > stageWindowBytes) break;
      this.#sentBytes += payload.length;
      outbox.block({ stream: this.#stream, index, checksum, payload, release });
      sent++;
    }
    if (sent > 0) this.#waiting.splice(0, sent);
    if (this.#waiting.length > 0 || this.#finishing === undefined || this.#finishSent) return;
    this.#finishSent = true;
    outbox.signalAfterBlocks(frameKind.finish, { stream: this.#stream, method: 0, drive: 0 });
  }
}
