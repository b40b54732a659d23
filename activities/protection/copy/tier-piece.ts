import { noCopyCounts, type CopyCounts } from '../../../workflows/engine/copying.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { type Entry, readPages } from '../../mover/compare/pages.ts';
import { compileRules, ruleFor, type CompiledRule } from '../../mover/lifecycle/rules.ts';
import { governClient } from '../../mover/run/governed-client.ts';
import { createLimiter } from '../../mover/run/limiter.ts';
import { createMeter, type Meter } from '../../mover/run/progress.ts';
import { rateAt } from '../../mover/run/timetable.ts';
import { fullKey, type Side } from '../../mover/side.ts';
import { cutPages } from './cut-pages.ts';
import { filterOf, passRuleOf } from './rule.ts';
import { endBy, type PieceWork, type WorkEnd } from './work.ts';

/** Where a piece goes on, and what was done before it. */
interface TierCursor {
  after: string;
  counts: CopyCounts;
}

interface Tiering {
  work: PieceWork;
  side: Side;
  rule: CompiledRule;
  storageClass: string;
  counts: CopyCounts;
  meter: Meter;
}

/**
 * Brings objects into another storage class: each is copied onto itself within the store, under the condition that it is
 * still the one that was listed. What is in the class already is passed over, so that a second run changes nothing.
 */
export async function tierPiece(work: PieceWork): Promise<WorkEnd> {
  const begin = (work.cursor ?? { after: '', counts: noCopyCounts() }) as unknown as TierCursor;
  const now: TierCursor = { after: begin.after, counts: { ...begin.counts } };
  const tiering = beginTiering(work, now.counts);
  const { bytes, ms } = work.piece.copy.shard;
  const endsAtMs = performance.now() + ms;
  const { copiedBytes } = now.counts;
  const tell = (): TierCursor => {
    const told = { after: now.after, counts: { ...now.counts } };
    const rate = tiering.meter.rate() ?? null;
    work.tell({ cursor: { ...told }, counts: told.counts, rate, waits: null });
    return told;
  };
  const pages = readPages({ side: tiering.side, after: now.after, versions: false, signal: work.signal });
  try {
    for (let page = await pages.next(); page !== undefined; page = await pages.next()) {
      await tierPage(tiering, page);
      now.after = page.at(-1)!.key;
      const told = tell();
      const isEnough = now.counts.copiedBytes - copiedBytes >= bytes || performance.now() >= endsAtMs;
      if (isEnough || work.signal.aborted)
        return { kind: 'more', cursor: { ...told }, counts: told.counts, rate: tiering.meter.rate() ?? null };
    }
    return { kind: 'complete', cursor: null, counts: now.counts, rate: tiering.meter.rate() ?? null };
  } catch (err) {
    return endBy(err, work, { cursor: { after: now.after, counts: now.counts }, counts: now.counts });
  } finally {
    pages.close();
  }
}

function beginTiering(work: PieceWork, counts: CopyCounts): Tiering {
  const { piece, leg, places, signal } = work;
  if (leg.kind !== 'tier') throw new MusterError('INTERNAL', `${leg.name} of copy ${piece.copy.name} tiers nothing`);
  const { name, storageClass, filter } = leg;
  const { requests, transfers } = passRuleOf(piece.copy, leg, 'copying');
  const keys = Math.min(piece.copy.shard.pageKeys ?? Infinity, 4 * transfers);
  const cut = cutPages(places.source.client, { bytes: Infinity, keys });
  const client =
    requests === undefined
      ? cut
      : governClient(cut, { requests: createLimiter(() => rateAt(requests, new Date()), signal) });
  const rules = compileRules(
    [{ name, filter: conditions(filterOf(filter)), action: { kind: 'tier', storageClass } }],
    Date.now(),
  );
  return { work, side: { ...places.source, client }, rule: rules[0]!, storageClass, counts, meter: createMeter() };
}

/** A prefix is a condition, too, though the places have it. */
function conditions(filter: ReturnType<typeof filterOf>): ReturnType<typeof filterOf> {
  return { minSizeBytes: 0, ...filter };
}

/** Many at once; done when all are. What ends all of it is thrown. */
async function tierPage(tiering: Tiering, page: readonly Entry[]): Promise<void> {
  const { work, counts } = tiering;
  let next = 0;
  const one = async (): Promise<void> => {
    for (let entry = page[next++]; entry !== undefined; entry = page[next++]) {
      counts.sourceObjects += 1;
      await tierOne(tiering, entry);
    }
  };
  await Promise.all(Array.from({ length: work.piece.copy.rule.transfers }, one));
}

async function tierOne(tiering: Tiering, entry: Entry): Promise<void> {
  const { work, side, rule, storageClass, counts, meter } = tiering;
  if (ruleFor([rule], entry) === undefined) return;
  const key = fullKey(side, entry.key);
  try {
    if (!(await isTagged(side, key, rule.filter.tags))) return;
    counts.wanted += 1;
    counts.wantedBytes += entry.sizeBytes;
    if (work.piece.copy.mode !== 'do') {
      work.name({ key: entry.key, what: 'would-tier', why: `${entry.storageClass} to ${storageClass}` });
      return;
    }
    await side.client.copy({ key, ifMatch: entry.etag }, key, { storageClass });
    counts.copied += 1;
    counts.copiedBytes += entry.sizeBytes;
    meter.add(1, entry.sizeBytes);
  } catch (err) {
    if (!(err instanceof MusterError) || isOfAll(err)) throw err;
    counts.failed += 1;
    work.name({ key: entry.key, what: 'failed', why: `${err.code}: ${err.message}` });
  }
}

/** Not about this one object. */
function isOfAll({ code }: MusterError): boolean {
  return ['CREDENTIALS_REFUSED', 'BUCKET_UNKNOWN', 'OBJECT_STORE_UNREACHABLE', 'TARGET_FULL'].includes(code);
}

async function isTagged(
  side: Side,
  key: string,
  wanted: Readonly<Record<string, string>> | undefined,
): Promise<boolean> {
  if (wanted === undefined) return true;
  const tags = await side.client.getTags(key);
  return Object.entries(wanted).every(([name, value]) => tags[name] === value);
}
