import { compareSides } from '../compare/compare.ts';
import { type Entry } from '../compare/pages.ts';
import { type Side } from '../side.ts';
import { type LedgerRow, type ReplicationLedger } from './ledger.ts';
import { type Joined } from '../compare/join.ts';

/** What one side holds now; undefined: nothing. */
export interface SideState {
  etag: string;
  sizeBytes: number;
  lastModifiedMs: number;
}

/**
 * A key that differs between the old writer and the new one. `both`: each wrote it since they last agreed, a person has
 * to choose. `old-only`: the old writer's last writes, that never arrived. `new-only`: what the way home will carry.
 * `unknown`: the ledger never saw the two agree about it.
 */
export interface Conflict {
  key: string;
  kind: 'both' | 'old-only' | 'new-only' | 'unknown';
  old: SideState | undefined;
  new: SideState | undefined;
  /** ETags of the last copy that was proved; undefined when there was none. */
  agreed: { old: string; new: string } | undefined;
}

/**
 * Tells from a frozen ledger what became of a key since old and new site agreed about it. Pure; undefined when there is
 * nothing to tell.
 */
export function judgeConflict(
  { key, source, target }: Joined<Entry>,
  row: LedgerRow | undefined,
): Conflict | undefined {
  const old = stateOf(source);
  const now = stateOf(target);
  if (old !== undefined && now !== undefined && old.sizeBytes === now.sizeBytes && old.etag === now.etag)
    return undefined;
  const agreed = row?.targetEtag === undefined || row.targetEtag === '' ? undefined : agreedBy(row);
  const made = (kind: Conflict['kind']): Conflict => ({ key, kind, old, new: now, agreed });
  if (agreed === undefined) {
    // Never copied: one side made it alone, or both did.
    if (old === undefined) return made('new-only');
    if (now === undefined) return made('old-only');
    return made(row === undefined ? 'unknown' : 'both');
  }
  const oldChanged = old?.etag !== agreed.old;
  const newChanged = now?.etag !== agreed.new;
  if (oldChanged && newChanged) return old === undefined && now === undefined ? undefined : made('both');
  if (oldChanged) return made('old-only');
  return newChanged ? made('new-only') : undefined;
}

function stateOf(entry: Entry | undefined): SideState | undefined {
  if (entry === undefined) return undefined;
  const { etag, sizeBytes, lastModifiedMs } = entry;
  return { etag, sizeBytes, lastModifiedMs };
}

/** A row that waits for a later write still knows the ETag its last copy has at the target; of the source it forgot. */
function agreedBy(row: LedgerRow): { old: string; new: string } {
  return { old: row.state === 'verified' ? row.sourceEtag : '', new: row.targetEtag };
}

export interface ConflictsInput {
  /** The frozen ledger of the replication from old to new. */
  ledger: ReplicationLedger;
  /** The writer before the failover. */
  old: Side;
  new: Side;
  signal?: AbortSignal;
}

/** Lists both sites and tells every key on which they no longer agree. Changes nothing. */
export async function findConflicts(
  { ledger, old, new: now, signal }: ConflictsInput,
  tell: (conflict: Conflict) => void | Promise<void>,
): Promise<Record<Conflict['kind'], number>> {
  const counts = { both: 0, 'old-only': 0, 'new-only': 0, unknown: 0 };
  await compareSides(
    { source: old, target: now, ...(signal === undefined ? {} : { signal }) },
    async (batch, finishBatch) => {
      const rows = await ledger.lookUp(batch.map(({ key }) => ({ key, version: '' })));
      for (const [i, joined] of batch.entries()) {
        const conflict = judgeConflict(joined, rows[i]);
        if (conflict === undefined) continue;
        counts[conflict.kind] += 1;
        await tell(conflict);
      }
      finishBatch();
    },
  ).finished;
  return counts;
}

/**
 * A ledger for the way home, that knows what both sites agreed on: what is still that may be overwritten.
 * @param agreedAtMs when the first ledger was frozen, by the new source's clock: a copy is no older there. Without it
 *   every object is looked at once more
 */
export async function turnLedger(
  frozen: ReplicationLedger,
  home: ReplicationLedger,
  agreedAtMs?: number,
): Promise<void> {
  let batch: Parameters<ReplicationLedger['settle']>[0][number][] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await home.settle(batch);
    batch = [];
  };
  for await (const row of frozen.rows()) {
    if (row.state !== 'verified' || row.op === 'delete' || row.version !== '' || row.targetEtag === '') continue;
    batch.push({
      ...{ key: row.key, version: '', op: 'put', state: 'verified', sourceEtag: row.targetEtag },
      ...{
        targetEtag: row.sourceEtag,
        writtenAtMs: agreedAtMs ?? row.writtenAtMs,
        sizeBytes: row.sizeBytes,
        checksums: row.checksums,
      },
    });
    if (batch.length === 500) await flush();
  }
  await flush();
}
