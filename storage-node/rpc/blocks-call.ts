import { type BlocksReply, type BlocksRequest, type ShardBlock } from '../store/drive-api.ts';
import { readBlockBody, readBlocksHead, writeBlocksRequest } from './blocks-codec.ts';
import { type CallTarget, PendingCall } from './call.ts';
import { type Frame, type TailMemory } from './frame.ts';
import { methodIds } from './methods.ts';
import { WireReader, type WireWriter } from './wire.ts';

const nothing = new Uint8Array(0);

/** `readBlocks`: the answer says how many blocks come, and each comes in memory of its own. */
export class BlocksCall extends PendingCall<BlocksReply> {
  protected readonly method = methodIds.readBlocks;
  readonly #request: BlocksRequest;
  readonly #blocks: ShardBlock[] = [];
  readonly #tails: TailMemory[] = [];
  #head: { shard: number; count: number } | undefined = undefined;

  constructor(
    request: BlocksRequest,
    target: CallTarget,
    settle: { resolve: (reply: BlocksReply) => void; reject: (error: Error) => void },
  ) {
    super(target, true, settle);
    this.#request = request;
  }

  protected writeRequest(writer: WireWriter): void {
    writeBlocksRequest(writer, this.#request);
  }

  onReply(body: Buffer): boolean {
    const reader = new WireReader(body);
    const head = readBlocksHead(reader);
    reader.end();
    if (head.kind !== 'blocks') {
      this.succeed({ kind: head.kind });
      return true;
    }
    this.#head = head;
    return this.#look();
  }

  onBlock(frame: Frame): boolean {
    const { tail, tailBytes } = frame;
    if (tail !== undefined) this.#tails.push(tail);
    const { index, checksum } = readBlockBody(frame.body);
    this.#blocks.push({ index, payload: tail?.bytes.subarray(0, tailBytes) ?? nothing, checksum });
    return this.#look();
  }

  protected override discard(): void {
    for (const tail of this.#tails.splice(0)) tail.release();
  }

  #look(): boolean {
    const head = this.#head;
    if (head === undefined || this.#blocks.length < head.count) return false;
    let held = true;
    const release = (): void => {
      if (held) this.discard();
      held = false;
    };
    this.succeed({ kind: 'blocks', shard: head.shard, blocks: this.#blocks, release });
    return true;
  }
}
