import type { ReplicateOrder } from '../../../workflows/engine/protection.ts';
import type { ProtectionContext } from '../context.ts';

/** What the parts of one replication have in common. */
export interface Replication {
  order: ReplicateOrder;
  directory: string;
  context: ProtectionContext;
  /** The attempt is over. */
  signal: AbortSignal;
  /** The attempt, or this piece of it. */
  ends: AbortSignal;
}
