/** What a node does with each call of a peer: which message, which method of the drive, which answer. */
import { type BlocksReply, type CallOptions, type DataId, type DriveApi } from '../store/drive-api.ts';
import { readBlocksRequest, unstageCall } from './blocks-codec.ts';
import { type CallCodec } from './call-codec.ts';
import {
  acceptCall,
  checkDataCall,
  learnCall,
  prepareCall,
  readCall,
  readSmallCall,
  repairCall,
} from './drive-codec.ts';
import {
  forgetCall,
  guardBucketCall,
  logCall,
  raiseFloorCall,
  scanCall,
  scanDigestCall,
  scanPackedCall,
  setSiteStateCall,
  siteStateCall,
  statCall,
} from './housekeeping-codec.ts';
import { methodIds } from './methods.ts';
import { WireReader } from './wire.ts';

/** Where the answer of one call goes. */
export interface Responder {
  answer<Reply>(codec: Pick<CallCodec<never, Reply>, 'writeReply'>, reply: Reply): void;
  answerBlocks(reply: BlocksReply): void;
  fail(error: unknown): void;
}

export interface ServedCall {
  /** Takes long enough that a caller's giving up is passed on. */
  readonly cancellable: boolean;
  /** May throw what the message or the drive makes it throw; answers later otherwise. */
  run(drive: DriveApi, body: Buffer, responder: Responder, options: CallOptions): void;
}

function served<Request, Reply>(
  codec: CallCodec<Request, Reply>,
  ask: (drive: DriveApi, request: Request, options: CallOptions) => Promise<Reply>,
  cancellable = false,
): ServedCall {
  return {
    cancellable,
    run(drive, body, responder, options) {
      const reader = new WireReader(body);
      const request = codec.readRequest(reader);
      reader.end();
      ask(drive, request, options).then(
        (reply) => responder.answer(codec, reply),
        (error: unknown) => responder.fail(error),
      );
    },
  };
}

const readBlocks: ServedCall = {
  cancellable: true,
  run(drive, body, responder, options) {
    const reader = new WireReader(body);
    const request = readBlocksRequest(reader);
    reader.end();
    drive.readBlocks(request, options).then(
      (reply) => responder.answerBlocks(reply),
      (error: unknown) => responder.fail(error),
    );
  },
};

const unstage = async (drive: DriveApi, dataId: DataId, options: CallOptions): Promise<undefined> => {
  await drive.unstage(dataId, options);
};

/** By method number. */
export const servedCalls: ReadonlyMap<number, ServedCall> = new Map([
  [methodIds.read, served(readCall, (drive, request, options) => drive.read(request, options))],
  [methodIds.prepare, served(prepareCall, (drive, request, options) => drive.prepare(request, options))],
  [methodIds.accept, served(acceptCall, (drive, request, options) => drive.accept(request, options))],
  [methodIds.learn, served(learnCall, (drive, request, options) => drive.learn(request, options))],
  [methodIds.unstage, served(unstageCall, unstage)],
  [methodIds.readSmall, served(readSmallCall, (drive, request, options) => drive.readSmall(request, options))],
  [methodIds.readBlocks, readBlocks],
  [
    methodIds.checkData,
    served(checkDataCall, (drive, request, options) => drive.checkData(request.dataIds, request.verify, options), true),
  ],
  [methodIds.repair, served(repairCall, (drive, request, options) => drive.repair(request, options))],
  [methodIds.scan, served(scanCall, (drive, request, options) => drive.scan(request, options), true)],
  [methodIds.scanDigest, served(scanDigestCall, (drive, request, options) => drive.scanDigest(request, options), true)],
  [methodIds.scanPacked, served(scanPackedCall, (drive, request, options) => drive.scanPacked(request, options), true)],
  [methodIds.log, served(logCall, (drive, request, options) => drive.log(request, options), true)],
  [methodIds.raiseFloor, served(raiseFloorCall, (drive, request, options) => drive.raiseFloor(request, options))],
  [methodIds.forget, served(forgetCall, (drive, request, options) => drive.forget(request, options))],
  [methodIds.siteState, served(siteStateCall, (drive, _request, options) => drive.siteState(options))],
  [methodIds.setSiteState, served(setSiteStateCall, (drive, request, options) => drive.setSiteState(request, options))],
  [methodIds.guardBucket, served(guardBucketCall, (drive, request, options) => drive.guardBucket(request, options))],
  [methodIds.stat, served(statCall, (drive, _request, options) => drive.stat(options))],
]);
