import { MusterError } from '../../../../workflows/engine/errors.ts';
import type { Measurement } from '../../../../workflows/engine/measure.ts';
import type { LedgerTotals, Observed } from '../../../mover/ledger/ledger.ts';
import { protectionDir, replicationDir } from './home.ts';
import { replicationFigures, type ReplicationStatus } from './status.ts';
import { readTurn, type Turn } from './turn.ts';
import type { VerbInput } from '../../../driver.ts';
import type { DriverServices } from '../../guarded/services.ts';
import { measure } from '../../guarded/verb.ts';

/** Where a figure of lost objects comes from. */
export const method = 'change-log';

/** Where the control plane keeps the replication of this resource. */
export function directoryOf({ plan, resource }: VerbInput, services: DriverServices): string {
  return replicationDir(protectionDir(services.home()), plan.service, resource.name);
}

/** The site that writes and the one that follows, as they are to be after this run. */
export function roles({ plan: { kind, from, to } }: VerbInput): { writer: string; standby: string } {
  return kind === 'reprotect' ? { writer: from, standby: to } : { writer: to, standby: from };
}

/** What the replication from one site to another says of itself now; else why nothing can be said. */
export function statusOf(
  input: VerbInput,
  services: DriverServices,
  { from, to }: { from: string; to: string },
): ReplicationStatus | string {
  const { plan, resource } = input;
  const status = replicationFigures(protectionDir(services.home()), plan.service, resource.name);
  if (status === undefined) return `${resource.name} was never replicated by this control plane`;
  if (status.from !== from || status.to !== to)
    return `${resource.name} is replicated from ${status.from} to ${status.to}`;
  return status;
}

/** The turn that a move ends. @throws MusterError LAG_UNKNOWN when nothing is replicated the way the move goes */
export function turnOfMove(input: VerbInput, services: DriverServices): Turn {
  const { plan, resource } = input;
  const turn = readTurn(directoryOf(input, services));
  const missing = (why: string): MusterError => new MusterError('LAG_UNKNOWN', `${resource.name}: ${why}`);
  if (turn === undefined) throw missing('it was never replicated by this control plane');
  if (turn.from !== plan.from || turn.to !== plan.to)
    throw missing(`it is replicated from ${turn.from} to ${turn.to}, not from ${plan.from}`);
  if (turn.frozen !== null && turn.frozen.epoch !== plan.epoch)
    throw missing(`its replication was frozen at epoch ${turn.frozen.epoch} and never taken up again`);
  return turn;
}

/**
 * From the newest moment before which everything arrived to another one, seconds; the latter by this machine's clock,
 * which was compared with the source's. Null when the source was never seen whole.
 */
export function secondsLost(
  { observed, oldestDueMs }: { observed: Observed | undefined; oldestDueMs: LedgerTotals['oldestDueMs'] },
  untilMs: number | null,
): number | null {
  if (observed === undefined || untilMs === null) return null;
  const watermarkMs = Math.min(observed.upToMs, oldestDueMs ?? Infinity);
  return Math.max(0, untilMs + (observed.clockOffsetMs ?? 0) - watermarkMs) / 1_000;
}

/** Whoever wrote last may have been answered until the outage was seen. */
export function lastWriteMs({ clocks }: VerbInput): number | null {
  return clocks.detected ?? clocks.fault ?? clocks.fenced ?? null;
}

export function backlogFigures(input: VerbInput, status: ReplicationStatus): Measurement[] {
  return [
    measure(input, 'lagSeconds', 's', { value: status.oldestPendingAgeSeconds, method }),
    measure(input, 'backlogObjects', 'objects', { value: status.backlogObjects, method }),
    measure(input, 'backlogBytes', 'B', { value: status.backlogBytes, method }),
  ];
}
