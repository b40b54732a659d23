import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { addCounts, type CopyCounts, type CopyRate } from '../../../workflows/engine/copying.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { conflictLines } from '../../mover/pair/conflicts.ts';
import {
  usualPairRule,
  ways,
  type PairCounts,
  type PairCursor,
  type PairEvent,
  type PairInput,
  type PairLedgers,
  type PairProgress,
  type PairRule,
} from '../../mover/pair/pair.ts';
import { runPair } from '../../mover/pair/run-pair.ts';
import { sideName } from '../../mover/side.ts';
import { shareLedgerWithin } from '../../mover/ledger/shared-ledger.ts';
import { inPieces } from './cut-pages.ts';
import { trimDoomed } from './doomed-file.ts';
import { namedBy } from './named.ts';
import { passRuleOf } from './rule.ts';
import { asJson, endInOrder, endOfRun, tellEveryMs, type PieceWork, type WorkEnd } from './work.ts';

const ledgerWithinMs = 10_000;

/** A piece of a two-way pass. What both sides agreed on last is remembered in a ledger for each direction. */
export async function pairPiece(work: PieceWork): Promise<WorkEnd> {
  const { piece, places, directory, remembered, signal } = work;
  const { shard } = piece.copy;
  await using aToB = await shareLedgerWithin(path.join(remembered, 'aToB'), ledgerWithinMs);
  await using bToA = await shareLedgerWithin(path.join(remembered, 'bToA'), ledgerWithinMs);
  const ledgers = { aToB: aToB.ledger, bToA: bToA.ledger };
  const cursor = await resumed(work);
  const until = { bytes: shard.bytes, ms: shard.ms };
  const stop = new AbortController();
  const input: PairInput = {
    ...{
      a: inPieces(places.source, shard),
      b: inPieces(places.target!, shard),
      rule: pairRuleOf(work),
      ledgers,
      until,
    },
    ...{ workDirectory: directory, signal: stop.signal, checkpointMs: tellEveryMs },
    ...(cursor === undefined ? {} : { cursor }),
    onEvent: (event) => name(work, event),
    onCheckpoint: (now, progress) =>
      work.tell({
        cursor: asJson(now),
        counts: countsOf(now.counts),
        rate: rateOf(progress),
        waits: waitsOf(progress),
      }),
  };
  const run = runPair(input);
  const release = endInOrder(signal, until, stop);
  const result = await run.finished;
  release();
  if (piece.copy.mode === 'do' && piece.stage === 'copying') await listConflicts(ledgers, remembered);
  return endOfRun(result, work, { counts: countsOf(result.counts), rate: rateOf(run.progress()) });
}

function pairRuleOf({ piece, leg, places }: PieceWork): PairRule {
  if (leg.kind !== 'pair' || places.target === undefined)
    throw new MusterError('INTERNAL', `${leg.name} of copy ${piece.copy.name} is no pair`);
  const pass = passRuleOf(piece.copy, leg, piece.stage);
  const deleteShare = piece.copy.rule.deleteShare ?? usualPairRule.pass.deleteShare;
  return {
    // Deletes that are only counted must not meet the guard.
    pass: { ...pass, deleteShare: piece.stage === 'measuring' ? 1 : deleteShare! },
    conflicts: ({ keep: 'keep', newer: 'newer', from: 'a', to: 'b' } as const)[leg.conflicts],
    names: { a: sideName(places.source), b: sideName(places.target) },
  };
}

/** As for a pass, of both directions. */
async function resumed({ cursor, directory }: PieceWork): Promise<PairCursor | undefined> {
  if (cursor === null) return undefined;
  const from = structuredClone(cursor) as unknown as PairCursor;
  for (const way of ways) from.counts[way].toDelete = await trimDoomed(path.join(directory, way), from.ranges);
  return from;
}

/** Both directions in one: conflicts that nobody decided are what is kept, and what is agreed on is the same. */
function countsOf({ aToB, bToA, agreed, conflicts, unsettled }: PairCounts): CopyCounts {
  const { sourceObjects, targetObjects } = aToB;
  const both = { ...addCounts(aToB, bToA), sourceObjects, targetObjects, same: agreed, kept: conflicts };
  return { ...both, changing: unsettled, onlySource: 0, onlyTarget: 0, different: 0 };
}

function rateOf({ aToB, bToA }: PairProgress): CopyRate | null {
  if (aToB.rate === undefined && bToA.rate === undefined) return null;
  return {
    objectsPerSecond: (aToB.rate?.objectsPerSecond ?? 0) + (bToA.rate?.objectsPerSecond ?? 0),
    bytesPerSecond: (aToB.rate?.bytesPerSecond ?? 0) + (bToA.rate?.bytesPerSecond ?? 0),
  };
}

function waitsOf({ aToB, bToA }: PairProgress): string | null {
  return aToB.paused ?? bToA.paused ?? null;
}

function name(work: PieceWork, event: PairEvent): void {
  if (event.kind === 'conflict') {
    const { conflict, winner } = event;
    const why =
      winner === undefined ? 'both sides wrote it since they agreed' : `${winner === 'a' ? 'from' : 'to'} wins`;
    return work.name({ key: conflict.key, what: winner === undefined ? 'conflict' : 'resolved', why });
  }
  const one = namedBy(event.event);
  if (one === undefined) return;
  const way = event.way === 'aToB' ? 'from → to' : 'to → from';
  work.name({ ...one, why: one.why === '' ? way : `${one.why} (${way})` });
}

/** Every conflict that stands, whole or not at all: `conflicts.jsonl`, a line each. */
async function listConflicts(ledgers: PairLedgers, directory: string): Promise<void> {
  const file = path.join(directory, 'conflicts.jsonl');
  await writeFile(`${file}.new`, conflictLines(ledgers));
  await rename(`${file}.new`, file);
}
