import { formatLsn, parseLsn } from '../../drivers/postgres/lsn.ts';
import type { RecoveryPlan } from './recovery-plan.ts';
import { segmentAt, segmentName, segmentStart } from './wal-name.ts';
import { WalScanner } from './wal-scan.ts';
import type { WalSupply } from './wal-supply.ts';

/**
 * Why replay ended at a position although WAL goes on behind it, e.g. a flipped bit; `null` when that is simply the end.
 * Reads the segments around the position.
 */
export async function damageAt(supply: WalSupply, plan: RecoveryPlan, endedAtLsn: string): Promise<string | null> {
  const { segmentBytes, systemId, path } = plan.supply;
  const [ended, known] = [parseLsn(endedAtLsn), parseLsn(plan.reach.toLsn)];
  if (ended === null || known === null) return null;
  const scanner = new WalScanner({ segmentBytes, systemId });
  const last = Math.max(segmentAt(ended, segmentBytes), segmentAt(known, segmentBytes));
  for (let segment = segmentAt(ended, segmentBytes); segment <= last; segment++) {
    const start = segmentStart(segment, segmentBytes);
    const leg = path.findLast((one) => segmentAt(one.fromLsn, segmentBytes) <= segment) ?? path.at(-1);
    const bytes = leg === undefined ? null : await supply.read(leg.timeline, segment);
    if (leg === undefined || bytes === null) return null;
    const scan = scanner.scan(leg.timeline, segment, bytes);
    const name = segmentName(leg.timeline, segment, segmentBytes);
    if (scan.kind === 'damaged') {
      // A record may begin some segments before the one in which its checksum can be looked at.
      const first = segmentName(leg.timeline, segmentAt(scan.validToLsn, segmentBytes), segmentBytes);
      const where = first === name ? name : `${first} to ${name}`;
      return `${where} is damaged at ${formatLsn(scan.validToLsn)} (${scan.why})`;
    }
    if (scan.kind === 'ended' && start + BigInt(segmentBytes) < known) {
      return `${name} ends at ${formatLsn(scan.validToLsn)}, but WAL goes on behind it`;
    }
    if (scan.kind === 'ended') return null;
  }
  return null;
}
