import { type CallOptions, type DataId, type DecideRequest, type DriveApi } from '../store/drive-api.ts';
import { BlocksCall } from './blocks-call.ts';
import { unstageCall, writePin } from './blocks-codec.ts';
import { type CallCodec } from './call-codec.ts';
import {
  acceptCall,
  checkDataCall,
  decides,
  learnCall,
  prepareCall,
  readCall,
  readSmallCall,
  repairCall,
} from './drive-codec.ts';
import { frameKind } from './frame.ts';
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
import { type Link } from './link.ts';
import { methodIds } from './methods.ts';
import { ask, type Peer } from './peer.ts';
import { type RemoteDriveHealth } from './peer-health.ts';
import { RemoteStage } from './remote-stage.ts';

/** A drive of another node. */
export interface RemoteDrive {
  api: DriveApi;
  health: RemoteDriveHealth;
}

/** @param drive its number on that node */
export function remoteDrive(peer: Peer, drive: number): RemoteDrive {
  const health = peer.driveHealth();
  const call = <Request, Reply>(
    codec: CallCodec<Request, Reply>,
    request: Request,
    options: CallOptions | undefined,
  ): Promise<Reply> => ask(peer, codec, request, peer.target(drive, health, options));

  const api: DriveApi = {
    read: (request, options) => call(readCall, request, options),
    prepare: (request, options) => call(prepareCall, request, options),
    accept: (request, options) => call(acceptCall, request, options),
    decide: (requests) => decide(peer, drive, requests),
    learn: (request, options) => call(learnCall, request, options),
    stage(request) {
      const unstage = (): void => void api.unstage(request.dataId).catch(() => {});
      const stage = new RemoteStage(request, drive, unstage);
      peer.bulk.use(stage);
      return stage;
    },
    unstage: (dataId, options) => call(unstageCall, dataId, options),
    readSmall: (dataIds, options) => call(readSmallCall, dataIds, options),
    readBlocks: (request, options) =>
      new Promise((resolve, reject) => {
        peer.bulk.use(new BlocksCall(request, peer.target(drive, health, options), { resolve, reject }));
      }),
    pin: (dataIds) => pin(peer, drive, dataIds),
    checkData: (dataIds, verify, options) => call(checkDataCall, { dataIds, verify }, options),
    repair: (request, options) => call(repairCall, request, options),
    scan: (request, options) => call(scanCall, request, options),
    scanDigest: (request, options) => call(scanDigestCall, request, options),
    scanPacked: (request, options) => call(scanPackedCall, request, options),
    log: (request, options) => call(logCall, request, options),
    raiseFloor: (ballot, options) => call(raiseFloorCall, ballot, options),
    forget: (request, options) => call(forgetCall, request, options),
    siteState: (options) => call(siteStateCall, undefined, options),
    setSiteState: (state, options) => call(setSiteStateCall, state, options),
    guardBucket: (guard, options) => call(guardBucketCall, guard, options),
    stat: (options) => call(statCall, undefined, options),
  };
  return { api, health };
}

/** Only where a connection is open: a mark that gets lost costs a later reader one more look. */
function decide(peer: Peer, drive: number, requests: readonly DecideRequest[]): void {
  const link = peer.calls.openLink;
  if (link === undefined || requests.length === 0) return;
  const { outbox } = link.connection;
  decides.write(outbox.begin(frameKind.oneWay, { stream: 0, method: methodIds.decide, drive }), requests);
  outbox.end();
}

function pin(peer: Peer, drive: number, dataIds: readonly DataId[]): { release: () => void } {
  let held: { link: Link; pin: number } | undefined;
  let released = false;
  peer.calls.use({
    start(link) {
      if (released) return;
      held = { link, pin: link.takePin() };
      const { outbox } = link.connection;
      writePin(outbox.begin(frameKind.oneWay, { stream: 0, method: methodIds.pin, drive }), { pin: held.pin, dataIds });
      outbox.end();
    },
    // A node that cannot be reached keeps nothing for anybody.
    onError() {},
  });
  return {
    release() {
      if (released) return;
      released = true;
      if (held === undefined) return;
      const { link } = held;
      const { outbox } = link.connection;
      outbox.begin(frameKind.oneWay, { stream: 0, method: methodIds.unpin, drive }).count(held.pin);
      outbox.end();
      link.dropPin();
    },
  };
}
