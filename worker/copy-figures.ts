import { addCounts, type CopyCounts } from '../workflows/engine/copying.ts';
import type { ProtectionRun } from '../workflows/engine/protection.ts';
import type { RunningCopy } from './copies.ts';

/** What is exported of a long copy. Null is unknown. */
export interface CopyFigures {
  running: boolean;
  paused: boolean | null;
  /** Of the run under way, all its rules so far. */
  doneObjects: number | null;
  doneBytes: number | null;
  /** The same with what was found to be done for the rule under way: unknown where nothing was counted first. */
  totalObjects: number | null;
  totalBytes: number | null;
  /** Left out: kept, archived, still changing; and failed. */
  left: number | null;
  failed: number | null;
  objectsPerSecond: number | null;
  bytesPerSecond: number | null;
  /** Of the rule under way. */
  etaSeconds: number | null;
}

const unknown = {
  ...{ doneObjects: null, doneBytes: null, totalObjects: null, totalBytes: null, left: null, failed: null },
  ...{ objectsPerSecond: null, bytesPerSecond: null, etaSeconds: null },
} as const;

/** What is known of a copy from its workflow and from what its activity told last. Null for `running`: none is under way. */
export function copyFigures(running: RunningCopy | null): CopyFigures {
  if (running === null) return { ...unknown, running: false, paused: false };
  const { view, now } = running;
  if (view === null) return { ...unknown, running: true, paused: null };
  const { before, toDo, phase } = view;
  const isPaused = phase === 'paused';
  const isTold = now !== null && now.stage === 'copying' && phase === 'copying';
  const counts = isTold ? addCounts(before, now.counts) : view.counts;
  const [wanted, wantedBytes] = [counts.wanted - before.wanted, counts.wantedBytes - before.wantedBytes];
  return {
    ...{ running: true, paused: isPaused },
    ...{ doneObjects: counts.copied, doneBytes: counts.copiedBytes, ...leftOf(counts) },
    totalObjects: toDo === null ? null : dealtWith(before) + Math.max(toDo.objects, wanted),
    totalBytes: toDo === null ? null : before.copiedBytes + Math.max(toDo.bytes, wantedBytes),
    // Of what the activity tells now: that of a piece which has ended says nothing of one that hangs.
    objectsPerSecond: isPaused ? null : (now?.rate?.objectsPerSecond ?? null),
    bytesPerSecond: isPaused ? null : (now?.rate?.bytesPerSecond ?? null),
    etaSeconds: isTold ? now.etaSeconds : null,
  };
}

function leftOf({ kept, archived, changing, failed }: CopyCounts): Pick<CopyFigures, 'left' | 'failed'> {
  return { left: kept + archived + changing, failed };
}

function dealtWith({ copied, kept, archived, gone, changing, failed }: CopyCounts): number {
  return copied + kept + archived + gone + changing + failed;
}

/** What the ledger knows of the copies that have ended. Null is unknown, or never. */
export interface EndedCopies {
  lastSuccessMs: number | null;
  /** Of the newest that ended. */
  endedMs: number | null;
  left: number | null;
  failed: number | null;
  /** Whether the newest ended in any other way than `done`. */
  incomplete: boolean | null;
}

/** @param runs of one copy, newest first */
export function endedCopies(runs: readonly Pick<ProtectionRun, 'outcome' | 'endedAtMs' | 'facts'>[]): EndedCopies {
  const [newest] = runs;
  const fact = (name: string): number | null => {
    const value = newest?.facts[name];
    return typeof value === 'number' ? value : null;
  };
  const parts = [fact('kept'), fact('archived'), fact('changing')];
  return {
    lastSuccessMs: runs.find(({ outcome }) => outcome === 'done')?.endedAtMs ?? null,
    endedMs: newest?.endedAtMs ?? null,
    left: parts.reduce((sum, part) => (sum === null || part === null ? null : sum + part), 0),
    failed: fact('failed'),
    incomplete: newest === undefined ? null : newest.outcome !== 'done',
  };
}
