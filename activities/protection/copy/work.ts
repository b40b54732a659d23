import {
  noCopyCounts,
  type CopyBeat,
  type CopyCounts,
  type CopyLeg,
  type CopyPiece,
  type CopyPieceEnd,
  type NamedObject,
} from '../../../workflows/engine/copying.ts';
import { toMusterError, type ErrorCode } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { ReplicationLedger } from '../../mover/ledger/ledger.ts';
import type { CopyPlaces } from './places.ts';

/** How long what is under way may go on once a piece is to end, milliseconds. */
export const drainMs = 5_000;
/** The attempt after a kill begins where the one before was at most so long before. */
export const tellEveryMs = 1_000;

/** A piece under way, and what the work on it needs. */
export interface PieceWork {
  piece: CopyPiece;
  leg: CopyLeg;
  places: CopyPlaces;
  /** What is remembered of these places, and room for what is too long for memory. */
  directory: string;
  /** What the copy itself remembers: the same but for a dry run. */
  remembered: string;
  ledger: ReplicationLedger | undefined;
  /** The attempt is to end: in order, for what was begun is known to nobody else. */
  signal: AbortSignal;
  /** Where it begins. */
  cursor: JsonObject | null;
  name(one: NamedObject | undefined): void;
  tell(now: Pick<CopyBeat, 'cursor' | 'counts' | 'rate' | 'waits'>): void;
}

/** What the work on a piece comes to. */
export type WorkEnd = Pick<CopyPieceEnd, 'counts' | 'rate'> & { cursor: JsonObject | null } & (
    { kind: 'complete' | 'more' } | { kind: 'stopped'; code: ErrorCode; message: string }
  );

/**
 * Ends a pass in order once the attempt is to end: no more is begun, since it asks for its limits as it goes, and its
 * cursor is that of whole pages. What then takes too long is broken off.
 * @returns takes the listener away
 */
export function endInOrder(signal: AbortSignal, until: { ms: number }, stop: AbortController): () => void {
  let late: NodeJS.Timeout | undefined;
  const end = (): void => {
    until.ms = 0;
    late = setTimeout(() => stop.abort(signal.reason), drainMs);
  };
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  return () => {
    signal.removeEventListener('abort', end);
    clearTimeout(late);
  };
}

/** What was thrown, as an end; when the attempt is to end anyway it says nothing about the copy. */
export function endBy(
  err: unknown,
  { signal }: Pick<PieceWork, 'signal'>,
  { cursor, counts = noCopyCounts() }: { cursor: JsonObject | null; counts?: CopyCounts },
): WorkEnd {
  if (signal.aborted) return { kind: 'more', cursor, counts, rate: null };
  const { code, message } = toMusterError(err);
  return { kind: 'stopped', code, message, cursor, counts, rate: null };
}

/** How the mover ended, one way or both; its cursor is plain JSON. */
type MoverEnd =
  | { kind: 'complete' }
  | { kind: 'more'; cursor: object }
  | { kind: 'stopped'; code: ErrorCode | 'ABORTED'; message: string; cursor: object };

/** What the end of the mover is to a piece: one that was to end anyway says nothing about the copy. */
export function endOfRun(
  result: MoverEnd,
  { signal }: Pick<PieceWork, 'signal'>,
  { counts, rate }: Pick<WorkEnd, 'counts' | 'rate'>,
): WorkEnd {
  if (result.kind === 'complete') return { kind: 'complete', cursor: null, counts, rate };
  const cursor = asJson(result.cursor);
  if (result.kind === 'more' || signal.aborted || result.code === 'ABORTED')
    return { kind: 'more', cursor, counts, rate };
  return { kind: 'stopped', code: result.code, message: result.message, cursor, counts, rate };
}

/** A cursor of the mover as it travels. */
export function asJson(cursor: object): JsonObject {
  return cursor as JsonObject;
}
