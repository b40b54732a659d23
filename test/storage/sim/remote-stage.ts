import { DriveUnavailable, type StageRequest, type StageWriter } from '../../../storage-node/store/drive-api.ts';
import { copyMessage } from './copy.ts';
import { type Route } from './remote-drive.ts';

const finishMs = 15_000;

/** Sends shard blocks over the network in order. One that gets lost breaks the stream, as it breaks a connection. */
export function remoteStage(route: Route, life: number, request: StageRequest): StageWriter {
  const { from, to, network } = route;
  const sent = copyMessage(request);
  let writer: StageWriter | undefined;
  let writerLife: number | undefined;
  const stream = { lastMs: 0 };
  let broken = false;
  let expected = 0;
  let taken = 0;
  /** A message of the stream: `run` only if all before it have arrived. */
  const send = (name: string, run: () => void): void => {
    const number = expected++;
    const deliver = (): void => {
      if (broken || (from === to.machine && from.life !== life)) return;
      if (number !== taken || (writer !== undefined && to.machine.life !== writerLife)) {
        broken = true;
        return writer?.abort();
      }
      taken += 1;
      run();
    };
    network.send({ from, to: to.machine, name, mayRepeat: false, stream, deliver });
  };
  const begin = (): void => {
    const drive = to.open();
    if (drive === undefined) broken = true;
    else {
      writer = drive.stage(sent);
      writerLife = to.machine.life;
      writer.onProgress = () => self.onProgress?.();
    }
  };
  let queuedBytes = 0;
  const self: StageWriter = {
    onProgress: undefined,
    get queuedBytes() {
      return queuedBytes;
    },
    write(block, release) {
      const copied = copyMessage(block);
      release();
      queuedBytes += copied.payload.length;
      send('block', () => {
        writer!.write(copied, () => {
          from.later(life, 0, () => {
            queuedBytes -= copied.payload.length;
            self.onProgress?.();
          });
        });
      });
    },
    finish: () =>
      new Promise((resolve, reject) => {
        const failed = (): void => reject(new DriveUnavailable(`${to.name}: the data was not taken`));
        const deadline = from.later(life, finishMs, failed);
        const answer = (settle: () => void): void => {
          if (to.machine.life !== writerLife) return;
          const back = { from: to.machine, to: from, name: 'stage finished', mayRepeat: false };
          network.send({
            ...back,
            deliver: () => {
              if (from.life !== life) return;
              deadline.cancel();
              settle();
            },
          });
        };
        send('finish', () => {
          writer!.finish().then(
            () => answer(resolve),
            (error: unknown) => answer(() => reject(error as Error)),
          );
        });
      }),
    abort() {
      if (from.life === life) send('abort', () => writer?.abort());
    },
  };
  send('stage', begin);
  return self;
}
