import { runPass } from '../../mover/run/run-pass.ts';
import type { PassCursor, PassInput } from '../../mover/run/pass.ts';
import { inPieces } from './cut-pages.ts';
import { trimDoomed } from './doomed-file.ts';
import { namedBy } from './named.ts';
import { passRuleOf } from './rule.ts';
import { asJson, endInOrder, endOfRun, tellEveryMs, type PieceWork, type WorkEnd } from './work.ts';

/** A piece of a pass of the mover: of counting, copying or comparing. */
export async function passPiece(work: PieceWork): Promise<WorkEnd> {
  const { piece, leg, places, directory, ledger, signal } = work;
  const { shard } = piece.copy;
  const cursor = await resumed(work);
  const until = { bytes: shard.bytes, ms: shard.ms };
  const stop = new AbortController();
  const input: PassInput = {
    ...{
      source: inPieces(places.source, shard),
      target: places.target!,
      rule: passRuleOf(piece.copy, leg, piece.stage),
    },
    ...{ until, workDirectory: directory, signal: stop.signal, checkpointMs: tellEveryMs },
    ...(ledger === undefined ? {} : { ledger }),
    ...(cursor === undefined ? {} : { cursor }),
    onObject: (event) => work.name(namedBy(event)),
    onCheckpoint: (now, { counts, rate, paused }) =>
      work.tell({ cursor: asJson(now), counts, rate: rate ?? null, waits: paused ?? null }),
  };
  const run = runPass(input);
  const release = endInOrder(signal, until, stop);
  const result = await run.finished;
  release();
  return endOfRun(result, work, { counts: result.counts, rate: run.progress().rate ?? null });
}

/** The cursor, with counts and the list of deletes as they were before what is gone over once more. */
async function resumed({ cursor, directory }: PieceWork): Promise<PassCursor | undefined> {
  if (cursor === null) return undefined;
  const from = cursor as unknown as PassCursor;
  const toDelete = await trimDoomed(directory, from.ranges);
  const counts = { ...from.counts };
  counts.onlyTarget += toDelete - counts.toDelete;
  counts.toDelete = toDelete;
  return { ...from, counts };
}
