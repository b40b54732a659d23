import { MusterError } from '../../../workflows/engine/errors.ts';
import type { Leg } from './timeline-tree.ts';
import type { WalArchive } from './wal-archive.ts';
import { readAll } from './wal-content.ts';
import { parseWalName, segmentAt, segmentName, segmentStart } from './wal-name.ts';
import { longHeaderBytes, segmentProblem } from './wal-page.ts';

/** What a recovering server may be given. */
export interface SupplyPlan {
  systemId: string;
  segmentBytes: number;
  /** The way to the timeline that is recovered, oldest leg first. */
  path: readonly Leg[];
  /** All segments before this position were in the archive when recovery was planned. */
  toLsn: bigint;
  /** The WAL that recovery needs before this position came with the base backup, and lies with the server; 0: none did. */
  ownToLsn: bigint;
}

export type Supply =
  | { kind: 'found'; pieces: AsyncIterable<Buffer> }
  /** There is none, and that is how it should be: the server takes it for the end. */
  | { kind: 'none' };

/**
 * Answers a recovering server's requests for files from an archive. Unlike a plain copy it tells "not there" from
 * "missing", since a server that is told the former opens the database as if all were well; and at the end of the log it
 * gives what was received of a segment, filled up with zeros.
 */
export class WalSupply {
  readonly #archive: WalArchive;
  readonly #plan: SupplyPlan;

  constructor(archive: WalArchive, plan: SupplyPlan) {
    this.#archive = archive;
    this.#plan = plan;
  }

  /** @throws MusterError WAL_GAP, CHECKSUM_MISMATCH; what the archive throws */
  async get(name: string): Promise<Supply> {
    const { segmentBytes, path, toLsn, ownToLsn } = this.#plan;
    const parsed = parseWalName(name, segmentBytes);
    if (parsed?.kind === 'history') return this.#whole(name);
    const at = path.findIndex((leg) => leg.timeline === parsed?.timeline);
    if (parsed?.kind !== 'segment' || at < 0) return { kind: 'none' };
    const { timeline, segment } = parsed;
    const next = path[at + 1];
    // Where the next timeline has begun, this one's WAL is another story.
    if (next !== undefined && segmentStart(segment, segmentBytes) >= next.fromLsn) return { kind: 'none' };
    const cutAt = next !== undefined && segment === segmentAt(next.fromLsn, segmentBytes) ? next.fromLsn : null;
    const found = await this.#segment(timeline, segment, cutAt);
    if (found !== null) return { kind: 'found', pieces: found };
    const end = segmentStart(segment + 1, segmentBytes);
    // A server asks for each segment before it looks at those it has.
    if (at === 0 && end <= ownToLsn) return { kind: 'none' };
    const isPlanned = end <= toLsn;
    const isFirstOfLeg = at > 0 && segment === segmentAt(path[at]?.fromLsn ?? 0n, segmentBytes);
    if (isPlanned && cutAt === null && !isFirstOfLeg) {
      throw new MusterError('WAL_GAP', `${name} is not in ${this.#archive.place} any more`);
    }
    return { kind: 'none' };
  }

  /** The name that is likely to be asked for next. */
  following(name: string): string | null {
    const parsed = parseWalName(name, this.#plan.segmentBytes);
    if (parsed?.kind !== 'segment') return null;
    return segmentName(parsed.timeline, parsed.segment + 1, this.#plan.segmentBytes);
  }

  async #whole(name: string): Promise<Supply> {
    const pieces = await this.#archive.get(name);
    return pieces === null ? { kind: 'none' } : { kind: 'found', pieces };
  }

  async #segment(timeline: number, segment: number, cutAt: bigint | null): Promise<AsyncIterable<Buffer> | null> {
    const { segmentBytes } = this.#plan;
    const name = segmentName(timeline, segment, segmentBytes);
    const whole = await this.#archive.get(name);
    const pieces = whole ?? (await this.#archive.get(`${name}.partial`));
    if (pieces === null) return null;
    const keepBytes = cutAt === null ? segmentBytes : Number(cutAt - segmentStart(segment, segmentBytes));
    const isWhole = whole !== null && cutAt === null;
    return this.#checked({ timeline, segment, name }, pieces, { keepBytes, isWhole });
  }

  async *#checked(
    { timeline, segment, name }: { timeline: number; segment: number; name: string },
    pieces: AsyncIterable<Buffer>,
    { keepBytes, isWhole }: { keepBytes: number; isWhole: boolean },
  ): AsyncGenerator<Buffer> {
    const { segmentBytes, systemId } = this.#plan;
    let [at, head] = [0, Buffer.alloc(0)];
    for await (const piece of pieces) {
      if (at < longHeaderBytes) {
        head = Buffer.concat([head, piece.subarray(0, longHeaderBytes)]);
        const problem =
          head.length < longHeaderBytes ? null : segmentProblem(head, { timeline, segment, segmentBytes, systemId });
        if (problem !== null) throw new MusterError('CHECKSUM_MISMATCH', `${this.#archive.place}: ${name} ${problem}`);
      }
      yield piece.subarray(0, Math.max(0, keepBytes - at));
      at += piece.length;
    }
    if (isWhole && at !== segmentBytes) {
      throw new MusterError(
        'CHECKSUM_MISMATCH',
        `${this.#archive.place}: ${name} has ${at} bytes, not ${segmentBytes}`,
      );
    }
    if (Math.min(at, keepBytes) < segmentBytes) yield Buffer.alloc(segmentBytes - Math.min(at, keepBytes));
  }

  /** The bytes of a segment as the server gets them; `null` when there is none. For looking at damage. */
  async read(timeline: number, segment: number): Promise<Buffer | null> {
    const pieces = await this.#segment(timeline, segment, null);
    return pieces === null ? null : readAll(pieces);
  }
}
