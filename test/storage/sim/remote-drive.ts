import {
  type BlocksReply,
  type BlocksRequest,
  type CallOptions,
  type DataId,
  type DriveApi,
  DriveUnavailable,
} from '../../../storage-node/store/drive-api.ts';
import { copyMessage } from './copy.ts';
import { type Machine } from './machine.ts';
import { type Network } from './network.ts';
import { remoteStage } from './remote-stage.ts';

/** A drive on some machine; `open` is undefined while nothing serves it. */
export interface DriveHost {
  machine: Machine;
  name: string;
  open: () => DriveApi | undefined;
}

/** How a caller's calls to one drive went, for the health that the caller sees. */
export interface CallOutcome {
  answered(tookMs: number): void;
  failed(): void;
}

export interface Route {
  network: Network;
  from: Machine;
  to: DriveHost;
  outcome: CallOutcome;
}

/** A caller that names no deadline waits so long. */
const longestMs = 15_000;

/** The drive as a node sees it over the network, for one life of that node. */
export function remoteDrive(route: Route): DriveApi {
  const life = route.from.life!;
  const caller = createCaller(route, life);
  const named =
    <Request, Reply>(name: string, ask: (drive: DriveApi, request: Request) => Promise<Reply>) =>
    (request: Request, options?: CallOptions): Promise<Reply> => {
      const take = copies(request);
      return caller(name, (drive) => ask(drive, take()), options);
    };
  const plain =
    <Reply>(name: string, ask: (drive: DriveApi) => Promise<Reply>) =>
    (options?: CallOptions): Promise<Reply> =>
      caller(name, ask, options);
  return {
    read: named('read', (drive, request) => drive.read(request)),
    prepare: named('prepare', (drive, request) => drive.prepare(request)),
    accept: named('accept', (drive, request) => drive.accept(request)),
    decide(requests) {
      const take = copies(requests);
      oneWay(route, life, 'decide', (drive) => drive.decide(take()));
    },
    learn: named('learn', (drive, request) => drive.learn(request)),
    stage: (request) => remoteStage(route, life, request),
    unstage: named('unstage', (drive, dataId: DataId) => drive.unstage(dataId)),
    readSmall: named('readSmall', (drive, dataIds: readonly DataId[]) => drive.readSmall(dataIds)),
    readBlocks: (request, options) =>
      named('readBlocks', (drive, sent: BlocksRequest) => drive.readBlocks(sent).then(released))(request, options).then(
        (reply) => (reply.kind === 'blocks' ? { ...reply, release: () => {} } : reply),
      ),
    pin: (dataIds) => remotePin(route, life, dataIds),
    checkData: (dataIds, verify, options) =>
      named('checkData', (drive, ids: readonly DataId[]) => drive.checkData(ids, verify))(dataIds, options),
    repair: named('repair', (drive, request) => drive.repair(request)),
    scan: named('scan', (drive, request) => drive.scan(request)),
    scanDigest: named('scanDigest', (drive, request) => drive.scanDigest(request)),
    scanPacked: named('scanPacked', (drive, request) => drive.scanPacked(request)),
    log: named('log', (drive, request) => drive.log(request)),
    raiseFloor: named('raiseFloor', (drive, ballot: number) => drive.raiseFloor(ballot)),
    forget: named('forget', (drive, request) => drive.forget(request)),
    siteState: plain('siteState', (drive) => drive.siteState()),
    setSiteState: named('setSiteState', (drive, state) => drive.setSiteState(state)),
    guardBucket: named('guardBucket', (drive, guard) => drive.guardBucket(guard)),
    stat: plain('stat', (drive) => drive.stat()),
  };
}

/** What is sent now, for each time it arrives: no two arrivals share bytes. */
function copies<T>(message: T): () => T {
  const sent = copyMessage(message);
  let arrived = 0;
  return () => (arrived++ === 0 ? sent : copyMessage(sent));
}

type Caller = <Reply>(
  name: string,
  ask: (drive: DriveApi) => Promise<Reply>,
  options: CallOptions | undefined,
) => Promise<Reply>;

function createCaller(route: Route, life: number): Caller {
  const { from, to, network, outcome } = route;
  return (name, ask, options) =>
    new Promise((resolve, reject) => {
      const clock = from.clock();
      const begunMs = clock.monotonicMs();
      let open = true;
      const end = (how: () => void): void => {
        if (!open) return;
        open = false;
        deadline.cancel();
        how();
      };
      const lost = (why: string) => (): void =>
        end(() => {
          outcome.failed();
          reject(new DriveUnavailable(`${to.name}: ${why}`));
        });
      const deadline = from.later(life, options?.deadlineMs ?? longestMs, lost(`no answer to ${name}`));
      options?.signal?.addEventListener('abort', lost('given up'), { once: true });
      const reply = (settle: () => void, toLife: number | undefined, note: string): void => {
        if (to.machine.life !== toLife) return;
        const message = { from: to.machine, to: from, name: note, mayRepeat: false };
        network.send({ ...message, deliver: () => from.life === life && end(settle) });
      };
      const deliver = (): void => {
        // A local call ends with the process that made it.
        if (from === to.machine && from.life !== life) return;
        const drive = to.open();
        const { life: toLife } = to.machine;
        if (drive === undefined) return reply(lost('not there'), toLife, `${name} refused`);
        ask(drive).then(
          (value) => {
            const answer = copyMessage(value);
            const settle = (): void => {
              outcome.answered(clock.monotonicMs() - begunMs);
              resolve(answer);
            };
            reply(settle, toLife, `${name} ${kindOf(answer)}`);
          },
          (error: unknown) => reply(() => failWith(error), toLife, `${name} failed`),
        );
      };
      const failWith = (error: unknown): void => {
        if (error instanceof DriveUnavailable) outcome.failed();
        reject(error);
      };
      network.send({ from, to: to.machine, name, mayRepeat: true, deliver, refused: lost('connection refused') });
    });
}

/** The part of an answer that tells most, for the trace. */
function kindOf(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null) return String(answer);
  if ('kind' in answer) return String(answer.kind);
  return 'ballot' in answer ? String(answer.ballot) : 'answered';
}

function oneWay({ from, to, network }: Route, life: number, name: string, run: (drive: DriveApi) => void): void {
  if (from.life !== life) return;
  const deliver = (): void => {
    const drive = to.open();
    if (drive !== undefined) run(drive);
  };
  network.send({ from, to: to.machine, name, mayRepeat: true, deliver });
}

function remotePin(route: Route, life: number, dataIds: readonly DataId[]): { release: () => void } {
  const ids = copyMessage(dataIds);
  let pinned: { release: () => void } | undefined;
  let released = false;
  oneWay({ ...route, network: once(route.network) }, life, 'pin', (drive) => {
    if (!released) pinned = drive.pin(ids);
  });
  return {
    release() {
      released = true;
      oneWay({ ...route, network: once(route.network) }, life, 'unpin', () => {
        pinned?.release();
        pinned = undefined;
      });
    },
  };
}

function once(network: Network): Network {
  return { ...network, send: (message) => network.send({ ...message, mayRepeat: false }) };
}

/** A reply on its way holds a copy; the drive's own memory is free again. */
function released(reply: BlocksReply): BlocksReply {
  if (reply.kind !== 'blocks') return reply;
  const copied = copyMessage(reply);
  reply.release();
  return copied;
}
