/** One thread of the engine: opens the repository for itself, then answers requests in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { blobId } from '../repository/blob.ts';
import { attachBlobTable } from '../repository/blob-table.ts';
import { attachRepository } from '../repository/attach.ts';
import { openBoard } from './board.ts';
import { flatten } from './flat-pack.ts';
import { checkPack } from './check-pack.ts';
import { createFileCutter } from './file-cutter.ts';
import { Packer } from './packer.ts';
import { readFile } from './read-files.ts';
import { repack } from './repack.ts';
import { restorePack } from './restore-files.ts';
import type { EngineAnswer, EngineEvent, EngineRequest, ThreadData } from './requests.ts';
import { toThreadFailure, type FromThread, type ToThread } from './threads.ts';

const port = parentPort!;
const data = workerData as ThreadData;
const board = openBoard(data.board);
const table = attachBlobTable(data.table);
const repository = await attachRepository(data.repository);
const say = (message: FromThread<EngineAnswer, EngineEvent>): void => port.postMessage(message);
const packer = new Packer({
  store: repository.store,
  tools: repository,
  table,
  compress: data.compress,
  growing: true,
  onStored: (pack) => say({ kind: 'event', event: { kind: 'stored', pack: flatten(pack) } }),
});
const sink = {
  save: (id: Uint8Array, bytes: Uint8Array) => void packer.add('data', id, bytes),
  room: () => packer.room(),
  read(bytes: number) {
    board.addRead(bytes);
    throwIfStopped();
  },
};
const cutter = createFileCutter(data.repository);

function throwIfStopped(): void {
  if (board.stopped) throw new MusterError('INTERNAL', 'the work of this thread was given up');
}

async function answer(request: EngineRequest): Promise<EngineAnswer> {
  if (request.kind === 'settle') {
    await packer.settle();
    return { kind: 'settled' };
  }
  throwIfStopped();
  switch (request.kind) {
    case 'read': {
      const outcomes = [];
      for (const job of request.jobs) outcomes.push(await readFile(job, cutter, sink));
      return { kind: 'read', outcomes };
    }
    case 'save':
      return { kind: 'saved', ids: await save(request.bytes, request.lengths) };
    case 'restore':
      return { kind: 'restored', outcome: await restorePack(repository, request.job) };
    case 'check':
      return { kind: 'checked', verdict: await checkPack(repository, request.job) };
    case 'repack':
      await repack(repository, packer, request.job);
      return { kind: 'repacked' };
    case 'flush':
      await packer.flush();
      return { kind: 'flushed', added: { ...packer.added } };
  }
}

async function save(bytes: Uint8Array, lengths: readonly number[]): Promise<Uint8Array> {
  const ids = new Uint8Array(32 * lengths.length);
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    const piece = bytes.subarray(at, (at += length));
    const id = blobId(piece);
    ids.set(id, 32 * i);
    sink.save(id, piece);
  }
  await packer.room();
  return ids;
}

let turn = Promise.resolve();
port.on('message', ({ id, request }: ToThread<EngineRequest>) => {
  // One after the other: they share the window of the cutter.
  turn = turn.then(async () => {
    try {
      say({ kind: 'answer', id, answer: await answer(request) });
    } catch (err) {
      say({ kind: 'failure', id, failure: toThreadFailure(err) });
    }
  });
});
