import type { ObjectReferences, ProofFinding, RecoveryPoint } from '../../../workflows/engine/protection.ts';
import { toMusterError } from '../../../workflows/engine/errors.ts';
import { urlOf } from '../../drivers/postgres/config.ts';
import { addressOf } from '../../drivers/postgres/conninfo.ts';
import { pointOf, snapshotsOf } from '../points.ts';
import { compareReferences, danglingText } from '../references.ts';
import { failed, passed, unknown } from './finding.ts';
import type { Proving } from './trial.ts';

const statementMs = 3_600_000;

/**
 * Rows whose object a bucket's recovery point does not have are a fault when the bucket was saved behind the moment of
 * the rows: then the object should have been there. What is younger than the bucket's point is counted and named only.
 */
export async function referenceFindings(proving: Proving, url: string): Promise<ProofFinding[]> {
  const findings: ProofFinding[] = [];
  for (const reference of proving.order.references ?? []) {
    findings.push(await referenceFinding(proving, url, reference));
  }
  return findings;
}

async function referenceFinding(proving: Proving, url: string, reference: ObjectReferences): Promise<ProofFinding> {
  const { order, stored, signal, restoredToMs } = proving;
  const about = { check: 'references', subject: reference.bucket };
  try {
    const atMs = restoredToMs ?? proving.point.takenAtMs;
    const point = await nearest(proving, reference.bucket, atMs);
    if (point === null) {
      const detail = `vault ${order.vault.name} has no complete recovery point of ${reference.bucket}`;
      return passed({ ...about, check: 'note', detail });
    }
    const { repository } = stored;
    const { database } = addressOf(urlOf(order.resource, order.site));
    const dangling = await compareReferences(url, reference, { repository, point, database, statementMs, signal });
    const apart = ((point.takenAtMs - atMs) / 1_000).toFixed(1);
    const detail = `${danglingText(dangling)} (the bucket as it was ${apart} s after the rows)`;
    if (dangling.missing.count === 0) return passed({ ...about, detail });
    return point.takenAtMs >= atMs ? failed({ ...about, detail }) : passed({ ...about, check: 'note', detail });
  } catch (err) {
    signal.throwIfAborted();
    return unknown({ ...about, detail: toMusterError(err).message });
  }
}

/** Behind the rows rather than before them. */
async function nearest({ order, stored }: Proving, bucket: string, atMs: number): Promise<RecoveryPoint | null> {
  const resource = { ...order.resource, name: bucket };
  const points = (await snapshotsOf(stored.repository, { service: order.service, resource }))
    .map((snapshot) => pointOf(order.vault.name, snapshot))
    .filter((point) => point?.status === 'complete' && point.kind === 'bucket');
  const behind = points.filter((point) => point!.takenAtMs >= atMs);
  const distance = (point: RecoveryPoint): number => Math.abs(point.takenAtMs - atMs);
  const among = (behind.length > 0 ? behind : points) as RecoveryPoint[];
  return among.toSorted((a, b) => distance(a) - distance(b))[0] ?? null;
}
