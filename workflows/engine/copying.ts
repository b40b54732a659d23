/**
 * Long copies between buckets: what is ordered, how far one is, and what comes of it. Plain JSON, so that it travels in
 * a workflow input, a schedule or a heartbeat alike. Addresses may be references; keys of stores are never part of one.
 */
import type { JsonObject } from './plan.ts';

/** Which objects are meant. All conditions have to hold; what is left out is neither copied nor deleted. */
export interface CopyFilter {
  /** `''` or text that every key begins with, on both sides. */
  prefix: string;
  include: string[];
  exclude: string[];
  minSizeBytes: number | null;
  maxSizeBytes: number | null;
  minAgeSeconds: number | null;
  maxAgeSeconds: number | null;
  tags: Record<string, string>;
}

/** One thing after the other; a plain copy has one leg, a lifecycle one for each of its rules. */
export type CopyLeg = { name: string; filter: CopyFilter } & (
  | {
      kind: 'copy';
      /** What is proved at the target goes at the source. */
      removeSource: boolean;
    }
  /** Both sides have users: what one wrote or deleted since they last agreed goes to the other. */
  | { kind: 'pair'; conflicts: PairConflicts }
  /** Within the source bucket, into another storage class. */
  | { kind: 'tier'; storageClass: string }
);

/** Who has the last word where both wrote; `keep`: nobody, both stay as they are and are named. */
export type PairConflicts = 'keep' | 'newer' | 'from' | 'to';

export interface CopyRule {
  versions: boolean;
  /** Share of the target's objects that may be deleted, 0 to 1; null deletes nothing. */
  deleteShare: number | null;
  /** Share of the copies that is read again at the target, 0 to 1. */
  verifyShare: number;
  compareBy: 'content' | 'time' | 'size';
  /** Metadata, content headers and tags of what is the same are compared as well. */
  properties: boolean;
  overwrite: 'ours' | 'older' | 'always';
  /** `keep`, `default`, or a class of the target. */
  storageClass: string;
  /** Bytes and requests a second, or timetables of them. */
  bandwidth: string | null;
  requests: string | null;
  transfers: number;
}

/** A piece of a copy ends after so much, whichever comes first. */
export interface CopyShard {
  bytes: number;
  ms: number;
  /** Pieces in one run of the workflow; it then goes on as a new one. */
  perRun: number;
  /** Keys that are begun at once, in pages of listings; default as many as a store gives. */
  pageKeys?: number;
}

/** `plan` says what would be done, `compare` what differs, reading both sides where nothing else decides. */
export type CopyMode = 'do' | 'plan' | 'compare';

export interface CopyOrder {
  name: string;
  /** `s3://…`, `oss://…`, or a reference to one. */
  from: string;
  /** Null where every leg stays within the source. */
  to: string | null;
  mode: CopyMode;
  legs: CopyLeg[];
  rule: CopyRule;
  shard: CopyShard;
  /** Counts first what there is to copy: without it nobody knows how long it will take. */
  measure: boolean;
  startedBy: string;
}

/** Counts of a copy, as the mover has them. */
export const copyCountNames = [
  ...(['sourceObjects', 'targetObjects', 'same', 'wanted', 'wantedBytes', 'copied', 'copiedBytes'] as const),
  ...(['refreshed', 'sourceUntold', 'readBack', 'deleted', 'toDelete', 'kept', 'archived', 'gone'] as const),
  ...(['changing', 'failed', 'notCarried', 'onlySource', 'onlyTarget', 'different'] as const),
] as const;
export type CopyCounts = Record<(typeof copyCountNames)[number], number>;

/** What each leg goes through. */
export type CopyStage = 'measuring' | 'copying' | 'removing';

/** An object that something is to be said about. */
export interface NamedObject {
  key: string;
  /** `failed`, `kept`, `archived`, `would-copy`, `different`, ... */
  what: string;
  why: string;
}
/** So many are named; the others are counted. */
export const mostNamed = 100;

export interface CopyRate {
  objectsPerSecond: number;
  bytesPerSecond: number;
}
export interface CopyAmount {
  objects: number;
  bytes: number;
}

/** The order of one piece, for an activity. */
export interface CopyPiece {
  copy: CopyOrder;
  leg: number;
  stage: CopyStage;
  /** Where it begins; null at the beginning of a stage. The mover's own. */
  cursor: JsonObject | null;
  /** What the measuring found, for the ETA. */
  toDo: CopyAmount | null;
}

/** What came of a piece. Counts are those of the stage since its beginning; of a removal, those of the piece. */
export interface CopyPieceEnd {
  /** `more`: the cursor goes on. `stopped`: a failure that waiting does not mend. */
  kind: 'complete' | 'more' | 'stopped';
  counts: CopyCounts;
  cursor: JsonObject | null;
  named: NamedObject[];
  failure: { code: string; message: string } | null;
  elapsedMs: number;
  rate: CopyRate | null;
}

/** What an activity tells while it works: enough for the next attempt to go on from, and for people to read. */
export interface CopyBeat {
  leg: number;
  stage: CopyStage;
  cursor: JsonObject | null;
  counts: CopyCounts;
  named: NamedObject[];
  rate: CopyRate | null;
  etaSeconds: number | null;
  /** Why nothing moves, or null. */
  waits: string | null;
  atMs: number;
}

/** How far a copy is: what one run of its workflow hands to the next. */
export interface CopyMemory {
  startedAtMs: number;
  leg: number;
  stage: CopyStage;
  cursor: JsonObject | null;
  /** Of the legs that are done. */
  before: CopyCounts;
  /** Of this leg. */
  counts: CopyCounts;
  toDo: CopyAmount | null;
  pieces: number;
  rate: CopyRate | null;
  named: NamedObject[];
  isPaused: boolean;
  failure: { code: string; message: string } | null;
}

/** `partial`: objects were left out or differ. `guarded`: more would be deleted than the guard allows. */
export type CopyVerdict = 'done' | 'partial' | 'stopped' | 'guarded';

export interface CopyResult {
  name: string;
  mode: CopyMode;
  verdict: CopyVerdict;
  counts: CopyCounts;
  /** Objects left out, or with `plan` and `compare` what was found: the first hundred by name. */
  named: NamedObject[];
  /** `CODE: message` of what stopped it, or null. */
  failure: string | null;
  pieces: number;
  startedAtMs: number;
  endedAtMs: number;
}

/** What the workflow answers to the query `status`. */
export interface CopyView {
  name: string;
  mode: CopyMode;
  phase: CopyStage | 'paused' | CopyVerdict;
  leg: string;
  legs: number;
  /** Of the legs that are done, and of all so far. */
  before: CopyCounts;
  counts: CopyCounts;
  toDo: CopyAmount | null;
  pieces: number;
  rate: CopyRate | null;
  etaSeconds: number | null;
  named: NamedObject[];
  failure: string | null;
  startedAtMs: number;
  startedBy: string;
}

export function noCopyCounts(): CopyCounts {
  return Object.fromEntries(copyCountNames.map((name) => [name, 0])) as CopyCounts;
}

export function addCounts(a: CopyCounts, b: CopyCounts): CopyCounts {
  return Object.fromEntries(copyCountNames.map((name) => [name, a[name] + b[name]])) as CopyCounts;
}

/** The first hundred, each once for each thing said of it. */
export function mergeNamed(before: readonly NamedObject[], more: readonly NamedObject[]): NamedObject[] {
  const known = new Map<string, NamedObject>();
  for (const one of [...before, ...more]) {
    const id = JSON.stringify([one.what, one.key]);
    if (known.size < mostNamed || known.has(id)) known.set(id, one);
  }
  return [...known.values()];
}

export function beginCopy(order: CopyOrder, startedAtMs: number): CopyMemory {
  return {
    ...{ startedAtMs, leg: 0, stage: firstStage(order, 0), cursor: null, toDo: null, pieces: 0, rate: null },
    ...{ before: noCopyCounts(), counts: noCopyCounts(), named: [], isPaused: false, failure: null },
  };
}

function firstStage({ mode, measure, legs }: CopyOrder, leg: number): CopyStage {
  const isMeasured = mode === 'do' && measure && legs[leg] !== undefined && legs[leg].kind !== 'tier';
  return isMeasured ? 'measuring' : 'copying';
}

/** The next piece to be done; null when there is none left. */
export function nextPiece(copy: CopyOrder, memory: CopyMemory): CopyPiece | null {
  const { leg, stage, cursor, toDo, failure } = memory;
  return failure !== null || leg >= copy.legs.length ? null : { copy, leg, stage, cursor, toDo };
}

/** How far it is after a piece. */
export function takePiece(order: CopyOrder, memory: CopyMemory, end: CopyPieceEnd): CopyMemory {
  const { stage } = memory;
  // What the measuring met is met again, and said then.
  const named = stage === 'measuring' ? memory.named : mergeNamed(memory.named, end.named);
  const now = { ...memory, pieces: memory.pieces + 1, named, rate: end.rate ?? memory.rate };
  const counts = countsAfter(memory, end);
  if (end.kind === 'stopped') return { ...now, counts, cursor: null, failure: end.failure };
  if (end.kind === 'more') return { ...now, counts, cursor: end.cursor };
  const leg = order.legs[memory.leg];
  if (stage === 'measuring') {
    const toDo = toDoOf(order, leg, end.counts);
    return { ...now, stage: 'copying', cursor: null, toDo, rate: null };
  }
  if (stage === 'copying' && order.mode === 'do' && leg?.kind === 'copy' && leg.removeSource)
    return { ...now, counts, stage: 'removing', cursor: null };
  const next = memory.leg + 1;
  return {
    ...{ ...now, leg: next, stage: firstStage(order, next), cursor: null, toDo: null },
    ...{ before: addCounts(memory.before, counts), counts: noCopyCounts() },
  };
}

/** Of versions all are wanted that are missing; else what turned out to be the same at a second look is not to do. */
function toDoOf({ rule }: CopyOrder, leg: CopyLeg | undefined, counts: CopyCounts): CopyAmount {
  const { wanted, wantedBytes, onlySource, different } = counts;
  const isExact = rule.versions || leg?.kind === 'pair';
  return { objects: isExact ? wanted : onlySource + different, bytes: wantedBytes };
}

/** Measuring counts for nothing; a removal lists everything once more, and only what it did is added. */
function countsAfter({ stage, counts: before }: CopyMemory, { counts }: CopyPieceEnd): CopyCounts {
  if (stage === 'measuring') return before;
  if (stage === 'copying') return counts;
  const { deleted, kept, copied, copiedBytes } = counts;
  return addCounts(before, { ...noCopyCounts(), deleted, kept, copied, copiedBytes });
}

export function totalsOf({ before, counts }: Pick<CopyMemory, 'before' | 'counts'>): CopyCounts {
  return addCounts(before, counts);
}

export function verdictOf(order: Pick<CopyOrder, 'mode'>, memory: CopyMemory): CopyVerdict {
  if (memory.failure !== null) return memory.failure.code === 'DELETE_GUARD' ? 'guarded' : 'stopped';
  if (order.mode === 'plan') return 'done';
  const { failed, kept, archived, changing, onlySource, onlyTarget, different } = totalsOf(memory);
  const differs = order.mode === 'compare' ? onlySource + onlyTarget + different : 0;
  return failed + kept + archived + changing + differs > 0 ? 'partial' : 'done';
}

/** Seconds until what was measured is copied, whichever of objects and bytes takes longer; null where nobody knows. */
export function copyEtaSeconds(toDo: CopyAmount | null, counts: CopyCounts, rate: CopyRate | null): number | null {
  if (toDo === null) return null;
  const { copied, kept, archived, gone, changing, failed, copiedBytes } = counts;
  const objects = Math.max(toDo.objects, counts.wanted) - (copied + kept + archived + gone + changing + failed);
  const bytes = Math.max(0, Math.max(toDo.bytes, counts.wantedBytes) - copiedBytes);
  if (objects <= 0) return 0;
  if (rate === null || rate.objectsPerSecond <= 0) return null;
  const byBytes = rate.bytesPerSecond > 0 ? bytes / rate.bytesPerSecond : 0;
  return Math.max(objects / rate.objectsPerSecond, byBytes);
}
