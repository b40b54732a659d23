import { type ClusterStatus } from '../../storage-node/admin/status.ts';
import { type Recount } from '../../storage-node/heal/recount.ts';

/** The state of a storage cluster for people. */
export function statusText(body: unknown): string {
  const status = body as ClusterStatus;
  const lines = [
    `site epoch ${status.site.epoch}, ${siteLine(status)}${status.site.confirmed ? '' : ' (not confirmed by every set)'}`,
  ];
  for (const set of status.sets) {
    const reads = set.readable
      ? `reads work, may lose ${set.mayLoseForReads} more`
      : `READS FAIL, ${-set.mayLoseForReads} drives too few`;
    const writes = set.writable
      ? `writes work, may lose ${set.mayLoseForWrites} more`
      : `WRITES FAIL, ${-set.mayLoseForWrites} drives too few`;
    lines.push('', `set ${set.set}: ${set.answering} of ${set.size} drives answer; ${reads}; ${writes}`);
    for (const { name, answers, stat } of set.drives) {
      const facts =
        stat === undefined
          ? 'does not answer'
          : `${stat.state}${stat.reason === undefined ? '' : ` (${stat.reason})`}, ${size(stat.liveBytes)} in use, ${size(stat.freeBytes)} free, ${stat.registers} keys`;
      lines.push(`  ${answers ? ' ' : '!'} ${name}  ${facts}`);
    }
    const heal = status.heal.find((one) => one.set === set.set);
    lines.push(`    healing: ${healLine(heal)}`);
  }
  const { queued, keysHealed, damagedShards } = status.healTotals;
  lines.push(
    '',
    `this node: ${queued} keys wait to be healed, ${keysHealed} healed, ${damagedShards} damaged shards met since its start`,
  );
  return `${lines.join('\n')}\n`;
}

function healLine(heal: ClusterStatus['heal'][number] | undefined): string {
  if (heal?.running !== undefined) return `${heal.running.kind} under way, ${heal.running.soFar.keys} keys so far`;
  if (heal?.last === undefined) return 'not yet recounted by this node';
  const { kind, endedAtMs, result, whole } = heal.last;
  const verdict = whole ? 'every value has all its shards' : `${result.short} keys are short`;
  return `${kind} of ${new Date(endedAtMs).toISOString()}: ${verdict}`;
}

/** What passes over the sets found. */
export function healText(body: unknown): string {
  const { sets, started } = body as { sets?: Recount[]; started?: number[] };
  if (sets === undefined) return `started on ${started?.length ?? 0} sets; \`status\` tells how far it is\n`;
  const lines = sets.map((one, i) => {
    const found = `${one.keys} keys, ${one.unwhole} were not whole, ${one.shardsWritten} shards (${size(one.bytesWritten)}) written`;
    const verdict =
      one.complete && one.short === 0 ? 'whole' : `NOT whole: ${one.short} keys short (${one.reasons.join('; ')})`;
    return `pass ${i}: ${found}; ${verdict}`;
  });
  return `${lines.join('\n')}\n`;
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function siteLine({ site, lease }: ClusterStatus): string {
  if (site.fenced) return 'FENCED: clients cannot write';
  if (!site.leased) return 'open';
  return lease.remainingMs > 0
    ? `open under a lease, ${(lease.remainingMs / 1000).toFixed(1)} s left at this node`
    : 'NO LEASE at this node: its drives take no writes of clients';
}
