import type { Client } from '@temporalio/client';
import type { ArchiveWalProgress } from '../activities/protection/archive-wal.ts';
import type { Ordered } from '../runbooks/protection.ts';
import type { ArchiveWalStatus } from '../workflows/archive-wal.ts';
import type { ArchiveWalOrder } from '../workflows/engine/protection.ts';
import { progressOf } from './protection-start.ts';

/** An archive of WAL that the estate asks for, as far as its workflow and its activity answer. */
export interface WalArchive {
  service: string;
  resource: string;
  vault: string;
  synchronous: boolean;
  /** `waiting`: it is to run and nobody tells of it: no worker, no server, no vault, or it has just begun. */
  phase: 'archiving' | 'paused' | 'waiting' | 'not running';
  /** What the activity told last; null when that is a while ago. */
  now: ArchiveWalProgress | null;
  /** Why the attempt before failed, or null. */
  lastFailure: string | null;
}

/** The activity tells every two seconds; what is older says nothing of now. */
const freshMs = 15_000;
const askMs = 3_000;

/** @throws MusterError TEMPORAL_UNREACHABLE */
export async function readWalArchive(
  client: Client,
  { workflowId, order }: Pick<Ordered<ArchiveWalOrder>, 'workflowId' | 'order'>,
  nowMs: number,
): Promise<WalArchive> {
  const { service, resource, vault, synchronous } = order;
  const about = { service, resource: resource.name, vault: vault.name, synchronous };
  const progress = await progressOf(client, workflowId);
  if (progress === null) return { ...about, phase: 'not running', now: null, lastFailure: null };
  const { detail, toldAtMs, lastFailure } = progress;
  const isFresh = toldAtMs !== null && nowMs - toldAtMs <= freshMs && 'state' in detail;
  if (isFresh) {
    return { ...about, phase: 'archiving', now: detail as unknown as ArchiveWalProgress, lastFailure: null };
  }
  const status = await client.connection
    .withDeadline(Date.now() + askMs, () => client.workflow.getHandle(workflowId).query<ArchiveWalStatus>('status'))
    .catch(() => null);
  return { ...about, phase: status?.phase === 'paused' ? 'paused' : 'waiting', now: null, lastFailure };
}
