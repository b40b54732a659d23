import type { BlobTable } from '../repository/blob-table.ts';
import type { BlobTarget, PackJob } from './restore-files.ts';

type Target = Omit<BlobTarget, 'blob'>;

/** Stretches of a pack that are nearer to each other than this are read as one. */
const gapBytes = 256 * 1024;
const stretchBytes = 32 * 2 ** 20;

/** Gathers where blobs are to go, pack by pack, so that each pack is read once. */
export class PackJobs {
  readonly #table: BlobTable;
  readonly #byPack = new Map<number, Map<number, Target[]>>();
  #targets = 0;
  #bytes = 0;

  constructor(table: BlobTable) {
    this.#table = table;
  }

  get targets(): number {
    return this.#targets;
  }
  /** Of the sealed blobs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param entry of the table, stored */
  add(entry: number, target: Target): void {
    const { pack, length } = this.#table.location(entry)!;
    let blobs = this.#byPack.get(pack);
    if (blobs === undefined) this.#byPack.set(pack, (blobs = new Map()));
    const targets = blobs.get(entry);
    if (targets === undefined) blobs.set(entry, [target]);
    else targets.push(target);
    this.#targets += 1;
    this.#bytes += length;
  }

  /** The jobs, and forgets them. Packs in the order in which they were first wanted. */
  *take(sparse: boolean): Generator<PackJob> {
    for (const [pack, blobs] of this.#byPack) {
      this.#byPack.delete(pack);
      yield* jobsOf(this.#table, this.#table.packName(pack), { blobs, sparse });
    }
    [this.#targets, this.#bytes] = [0, 0];
  }
}

function* jobsOf(
  table: BlobTable,
  pack: string,
  { blobs, sparse }: { blobs: Map<number, Target[]>; sparse: boolean },
): Generator<PackJob> {
  const placed = [...blobs].map(([entry, targets]) => ({ ...table.location(entry)!, id: table.idOf(entry), targets }));
  placed.sort((a, b) => a.offset - b.offset);
  let job: PackJob | null = null;
  let [start, end] = [0, 0];
  for (const { id, offset, length, uncompressedLength, targets } of placed) {
    if (job === null || offset - end > gapBytes || offset + length - start > stretchBytes) {
      if (job !== null) yield job;
      job = { pack, blobs: [], targets: [], sparse };
      start = offset;
    }
    for (const target of targets) job.targets.push({ ...target, blob: job.blobs.length });
    job.blobs.push({ id, offset, length, uncompressedLength });
    end = offset + length;
  }
  if (job !== null) yield job;
}
