import { noCopyCounts, type CopyCounts } from '../../../workflows/engine/copying.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import type { JsonObject } from '../../../workflows/engine/plan.ts';
import { wholeRange, type KeyRange } from '../../mover/compare/ranges.ts';
import { removeVerified } from '../../mover/lifecycle/remove-verified.ts';
import { governClient } from '../../mover/run/governed-client.ts';
import { createLimiter } from '../../mover/run/limiter.ts';
import type { PassRule } from '../../mover/run/pass.ts';
import { createMeter } from '../../mover/run/progress.ts';
import { rateAt } from '../../mover/run/timetable.ts';
import type { Side } from '../../mover/side.ts';
import { passRuleOf } from './rule.ts';
import { tellEveryMs, type PieceWork, type WorkEnd } from './work.ts';

/** Where a removal goes on, and what this piece has done before: the next piece begins to count anew. */
interface RemoveCursor {
  ranges: KeyRange[];
  counts: CopyCounts;
}

/** A piece of deleting at the source what is proved at the target, looking at each object on both sides right before. */
export async function removePiece(work: PieceWork): Promise<WorkEnd> {
  const { piece, leg, places, ledger, signal } = work;
  if (ledger === undefined || places.target === undefined)
    throw new MusterError('INTERNAL', `copy ${piece.copy.name}: nothing is proved without a ledger and a target`);
  const begin = (work.cursor ?? { ranges: [wholeRange], counts: noCopyCounts() }) as unknown as RemoveCursor;
  const counts = { ...begin.counts };
  const meter = createMeter();
  const rate = (): WorkEnd['rate'] => meter.rate() ?? null;
  const rule = passRuleOf(piece.copy, leg, 'removing');
  const { bytes, ms } = piece.copy.shard;
  const end = await removeVerified({
    ...{ ...governed(work, places.target, rule), rule, ledger, ranges: begin.ranges, until: { bytes, ms }, signal },
    checkpointMs: tellEveryMs,
    pageKeys: Math.min(piece.copy.shard.pageKeys ?? Infinity, 4 * rule.transfers),
    onObject(event) {
      const { key, sizeBytes } = event;
      if (event.kind === 'removed') {
        counts.deleted += 1;
        return meter.add(1, sizeBytes);
      }
      counts.kept += 1;
      work.name({ key, what: 'kept', why: event.why });
    },
    onCheckpoint: (ranges) => work.tell({ cursor: cursorOf(ranges, counts), counts, rate: rate(), waits: null }),
  });
  if (end.kind === 'complete') return { kind: 'complete', cursor: null, counts, rate: rate() };
  if (end.kind === 'more') return { kind: 'more', cursor: cursorOf(end.ranges, noCopyCounts()), counts, rate: rate() };
  const { code, message, ranges } = end;
  return { kind: 'stopped', code, message, cursor: cursorOf(ranges, counts), counts, rate: null };
}

function cursorOf(ranges: KeyRange[], counts: CopyCounts): JsonObject {
  return { ranges: ranges.map((range) => ({ ...range })), counts: { ...counts } };
}

/** Both sides under the limit of requests. */
function governed({ places, signal }: PieceWork, target: Side, { requests }: PassRule): { source: Side; target: Side } {
  const { source } = places;
  if (requests === undefined) return { source, target };
  const governor = { requests: createLimiter(() => rateAt(requests, new Date()), signal) };
  return {
    source: { ...source, client: governClient(source.client, governor) },
    target: { ...target, client: governClient(target.client, governor) },
  };
}
