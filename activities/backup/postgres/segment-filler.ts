import { MusterError } from '../../../workflows/engine/errors.ts';
import { formatLsn } from '../../drivers/postgres/lsn.ts';
import type { OpenSegment, WalStore } from './wal-store.ts';
import { segmentAt, segmentName } from './wal-name.ts';
import type { WalPosition } from './stream-position.ts';

/** Puts a stream of WAL into segments, one behind the other. */
export class SegmentFiller {
  readonly #store: WalStore;
  readonly timeline: number;
  readonly #segmentBytes: number;
  readonly #onArchived: (name: string) => void;
  #pieces: Buffer[] = [];
  #open: { name: string; segment: OpenSegment } | null = null;
  /** Up to here it was handed to the operating system. */
  writtenLsn: bigint;
  /** Up to here it is on disk. */
  flushedLsn: bigint;
  #takenLsn: bigint;

  constructor(store: WalStore, start: WalPosition, segmentBytes: number, onArchived: (name: string) => void) {
    this.#store = store;
    this.timeline = start.timeline;
    this.#segmentBytes = segmentBytes;
    this.#onArchived = onArchived;
    this.#takenLsn = this.writtenLsn = this.flushedLsn = start.lsn;
  }

  /** Takes what must follow what was taken before; writes when a segment is full. */
  async take(startLsn: bigint, bytes: Buffer): Promise<void> {
    if (startLsn !== this.#takenLsn) {
      const [came, wanted] = [formatLsn(startLsn), formatLsn(this.#takenLsn)];
      throw new MusterError('DATABASE_UNREACHABLE', `the stream has a hole: ${came} came, ${wanted} was next`);
    }
    for (let at = 0; at < bytes.length;) {
      const room = this.#segmentBytes - this.#offset(this.#takenLsn);
      const part = bytes.subarray(at, at + room);
      this.#pieces.push(part);
      this.#takenLsn += BigInt(part.length);
      at += part.length;
      if (part.length === room) await this.#finish();
    }
  }

  /** Hands what was taken to the operating system. */
  async write(): Promise<void> {
    const pieces = this.#pieces;
    if (pieces.length === 0) return;
    this.#pieces = [];
    this.#open ??= await this.#openSegment();
    await this.#open.segment.write(this.#offset(this.writtenLsn), pieces);
    this.writtenLsn = this.#takenLsn;
  }

  async sync(): Promise<void> {
    await this.write();
    if (this.flushedLsn === this.writtenLsn) return;
    await this.#open?.segment.sync();
    this.flushedLsn = this.writtenLsn;
  }

  /** Leaves the segment that is not full as it is, on disk. */
  async close(): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    try {
      await this.sync();
    } finally {
      this.#open = null;
      await open.segment.close();
    }
  }

  async #finish(): Promise<void> {
    await this.write();
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    await open.segment.finish();
    this.flushedLsn = this.writtenLsn;
    this.#onArchived(open.name);
  }

  async #openSegment(): Promise<{ name: string; segment: OpenSegment }> {
    const name = segmentName(this.timeline, segmentAt(this.writtenLsn, this.#segmentBytes), this.#segmentBytes);
    return { name, segment: await this.#store.openSegment(name, this.#segmentBytes) };
  }

  #offset(lsn: bigint): number {
    return Number(lsn % BigInt(this.#segmentBytes));
  }
}
