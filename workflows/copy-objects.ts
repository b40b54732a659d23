import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  ContinueAsNew,
  continueAsNew,
  defineQuery,
  defineSignal,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  beginCopy,
  copyEtaSeconds,
  nextPiece,
  takePiece,
  totalsOf,
  verdictOf,
  type CopyMemory,
  type CopyOrder,
  type CopyPiece,
  type CopyPieceEnd,
  type CopyResult,
  type CopyVerdict,
  type CopyView,
} from './engine/copying.ts';
import { copyBatch, describeCopy } from './engine/copy-words.ts';

/** What is under way is brought to an end, and nothing is begun until it is resumed. */
export const pauseCopy = defineSignal('pause');
export const resumeCopy = defineSignal('resume');
export const copyStatus = defineQuery<CopyView>('status');

const phaseKey = defineSearchAttributeKey('DrPhase', 'KEYWORD');
const outcomeKey = defineSearchAttributeKey('DrOutcome', 'KEYWORD');

const { 'copy objects': runPiece } = proxyActivities<
  Record<'copy objects', (piece: CopyPiece) => Promise<CopyPieceEnd>>
>({
  // A piece is some minutes, but an object of terabytes is one, too: it lives as long as it is heard of.
  scheduleToCloseTimeout: '7 days',
  heartbeatTimeout: '10 s',
  retry: { initialInterval: '1 s', backoffCoefficient: 2, maximumInterval: '1 min' },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  summary: 'one piece of the copy',
});

/**
 * Copies a bucket, or a part of one, piece by piece: each is an activity whose heartbeats carry where the next attempt
 * goes on. After so many pieces the workflow goes on as a new run, with the cursor. It may be paused and resumed;
 * cancelled it ends in order, and the next one finds what it has done. What it comes to is its answer and a record in
 * the ledger; failures that pass are tried again, any other is the verdict `stopped`.
 */
export async function copyObjects(order: CopyOrder, memory?: CopyMemory): Promise<CopyResult> {
  const now = { memory: memory ?? beginCopy(order, Date.now()) };
  setHandler(pauseCopy, () => void (now.memory.isPaused = true));
  setHandler(resumeCopy, () => void (now.memory.isPaused = false));
  setHandler(copyStatus, () => viewOf(order, now.memory));
  try {
    await copyOn(order, now);
    return await end(order, now.memory, verdictOf(order, now.memory));
  } catch (err) {
    if (err instanceof ContinueAsNew) throw err;
    if (!isCancellation(err)) throw asFailure(err);
    await CancellationScope.nonCancellable(() => end(order, now.memory, 'stopped'));
    throw err;
  }
}

/** A bug in here fails the run with its message; it never leaves a stuck workflow task. */
function asFailure(err: unknown): ApplicationFailure {
  if (err instanceof ApplicationFailure) return err;
  const message = err instanceof Error ? err.message : String(err);
  return ApplicationFailure.create({ type: 'INTERNAL', message, nonRetryable: true });
}

async function copyOn(order: CopyOrder, now: { memory: CopyMemory }): Promise<void> {
  for (let pieces = 0; ;) {
    const piece = nextPiece(order, now.memory);
    if (piece === null) return;
    show(order, now.memory);
    if (now.memory.isPaused) await condition(() => !now.memory.isPaused);
    else if (pieces >= order.shard.perRun || workflowInfo().continueAsNewSuggested)
      await continueAsNew<typeof copyObjects>(order, now.memory);
    else {
      const came = await pieceUntilPause(piece, now);
      if (came !== null) now.memory = takePiece(order, now.memory, came);
      pieces += 1;
    }
  }
}

/** Null when it was paused before anything came of it. A pause is a cancellation that the activity answers with its cursor. */
async function pieceUntilPause(piece: CopyPiece, now: { memory: CopyMemory }): Promise<CopyPieceEnd | null> {
  const scope = new CancellationScope();
  let isOver = false;
  const work = scope.run(() => runPiece(piece)).finally(() => (isOver = true));
  work.catch(() => undefined); // asked below
  try {
    await condition(() => isOver || now.memory.isPaused);
  } catch (err) {
    // Cancelled as a whole: what the piece has done is part of what is told.
    const came = await CancellationScope.nonCancellable(() => work.catch(() => null));
    if (came !== null) now.memory = takePiece(piece.copy, now.memory, came);
    throw err;
  }
  if (!isOver) scope.cancel();
  try {
    return await work;
  } catch (err) {
    if (isCancellation(err) && now.memory.isPaused) return null;
    if (isCancellation(err)) throw err;
    return stoppedBy(err, now.memory);
  }
}

function stoppedBy(err: unknown, { counts, cursor }: CopyMemory): CopyPieceEnd {
  const cause = err instanceof ActivityFailure ? err.cause : err;
  const code = cause instanceof ApplicationFailure ? (cause.type ?? 'INTERNAL') : 'STEP_TIMEOUT';
  const message = cause instanceof Error ? cause.message : String(cause);
  return { kind: 'stopped', counts, cursor, named: [], failure: { code, message }, elapsedMs: 0, rate: null };
}

/** The record is left to a workflow of its own: the ledger may be away for days. */
async function end(order: CopyOrder, memory: CopyMemory, verdict: CopyVerdict): Promise<CopyResult> {
  show(order, memory, verdict);
  upsertSearchAttributes([{ key: outcomeKey, value: verdict }]);
  const { name, mode } = order;
  const { failure, named, pieces, startedAtMs } = memory;
  const result: CopyResult = {
    ...{ name, mode, verdict, counts: totalsOf(memory), named, pieces, startedAtMs, endedAtMs: Date.now() },
    failure: failure === null ? null : `${failure.code}: ${failure.message}`,
  };
  const { runId } = workflowInfo();
  if (mode === 'do') {
    await startChild('recordProtectionLater', {
      args: [copyBatch(result, { runId, startedBy: order.startedBy })],
      workflowId: `record/${runId}`,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `writes the copy ${name} to the ledger`,
    });
  }
  return result;
}

function viewOf(order: CopyOrder, memory: CopyMemory, verdict?: CopyVerdict): CopyView {
  const { name, mode, legs, startedBy } = order;
  const { leg, stage, before, counts, toDo, pieces, rate, named, failure, startedAtMs, isPaused } = memory;
  return {
    ...{
      name,
      mode,
      legs: legs.length,
      leg: legs[leg]?.name ?? '',
      startedBy,
      startedAtMs,
      pieces,
      rate,
      named,
      toDo,
      before,
    },
    phase: verdict ?? (isPaused ? 'paused' : stage),
    counts: totalsOf(memory),
    etaSeconds: isPaused || stage !== 'copying' ? null : copyEtaSeconds(toDo, counts, rate),
    failure: failure === null ? null : `${failure.code}: ${failure.message}`,
  };
}

function show(order: CopyOrder, memory: CopyMemory, verdict?: CopyVerdict): void {
  const view = viewOf(order, memory, verdict);
  upsertSearchAttributes([{ key: phaseKey, value: view.phase }]);
  setCurrentDetails(describeCopy(order, view));
}
