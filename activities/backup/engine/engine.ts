import { availableParallelism } from 'node:os';
import type { Repository } from '../repository/attach.ts';
import type { BlobTable } from '../repository/blob-table.ts';
import type { EngineThreads } from './file-queue.ts';
import { openBoard, type Board } from './board.ts';
import type { OpenMark } from './open-marks.ts';
import { IndexCollector } from './index-collector.ts';
import { Packer } from './packer.ts';
import type { Added, ThreadData } from './requests.ts';
import { Threads } from './threads.ts';
import { setTimeout as sleepFor } from 'node:timers/promises';

export interface EngineOptions {
  repository: Repository;
  /** Holds the whole index already. */
  table: BlobTable;
  /** Default: as many as there are cores, at most 8. */
  threads?: number;
  /** Default true. */
  compress?: boolean;
}

/** What writes into a repository: threads for data, a packer for trees in this one, and the index of both. */
export interface Engine {
  threads: EngineThreads;
  trees: Packer;
  index: IndexCollector;
  board: Board;
  /** Waits until everything that was saved is durable and indexed. @returns what was new */
  flush(): Promise<{ data: Added; trees: Added }>;
  /**
   * Gives up what is under way; what was stored is indexed, so that the next one finds it.
   * @returns whether that is so: false where it could not be, or something hangs on its way
   */
  end(): Promise<boolean>;
}

/** Packs on their way to a store that hangs are not waited for any longer. */
const settleLimitMs = 2_000;
/** What lives longer than a request is little; V8 would let the garbage of each thread grow to 96 MiB first. */
const youngGenerationMiB = 8;

export function startEngine({ repository, table, threads: count, compress = true }: EngineOptions): Engine {
  const index = new IndexCollector(repository);
  const board = openBoard();
  const data: ThreadData = {
    repository: repository.describe(),
    table: table.describe(),
    compress,
    board: board.buffer,
  };
  const threads: EngineThreads = new Threads({
    program: new URL('./thread.ts', import.meta.url),
    count: count ?? Math.min(8, availableParallelism()),
    data,
    youngGenerationMiB,
    onEvent: ({ pack }) => index.addFlat(pack),
  });
  const trees = new Packer({
    store: repository.store,
    tools: repository,
    table,
    compress,
    onStored: (p) => index.add(p),
  });
  return {
    threads,
    trees,
    index,
    board,
    async flush() {
      const [answers] = await Promise.all([threads.askAll({ kind: 'flush' }), trees.flush()]);
      await index.flush();
      const added = { blobs: 0, bytes: 0, storedBytes: 0 };
      for (const answer of answers) if (answer.kind === 'flushed') addUp(added, answer.added);
      return { data: added, trees: { ...trees.added } };
    },
    async end() {
      board.stop();
      const settled = Promise.all([threads.askAll({ kind: 'settle' }), trees.settle()]).then(
        () => true,
        () => false,
      );
      const inTime = await Promise.race([settled, sleepFor(settleLimitMs, false, { ref: false })]);
      const indexed = await index.flush().then(
        () => true,
        () => false,
      );
      await threads.end();
      return inTime && indexed;
    },
  };
}

/** Ends the engine, and takes the mark away where all that was stored is indexed. */
export async function endMarked(engine: Engine, mark: OpenMark): Promise<void> {
  if (await engine.end()) await mark.remove().catch(() => undefined);
  else mark.leave();
}

function addUp(sum: Added, one: Added): void {
  sum.blobs += one.blobs;
  sum.bytes += one.bytes;
  sum.storedBytes += one.storedBytes;
}
