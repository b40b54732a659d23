import { noCopyCounts, type CopyCounts } from '../../../workflows/engine/copying.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { moveVerified } from '../../mover/lifecycle/move-verified.ts';
import type { Side } from '../../mover/side.ts';
import type { ObjectClient } from '../../objects/types.ts';
import { namedBy } from './named.ts';
import { passRuleOf } from './rule.ts';
import { endBy, tellEveryMs, type PieceWork, type WorkEnd } from './work.ts';

/**
 * Deletes at the source what is proved at the target, looking at each object on both sides right before. Begun anew
 * after a kill: what is gone is gone, and the rest is looked at again.
 */
export async function removePiece(work: PieceWork): Promise<WorkEnd> {
  const { piece, leg, places, directory, ledger, signal } = work;
  if (ledger === undefined || places.target === undefined)
    throw new MusterError('INTERNAL', `copy ${piece.copy.name}: nothing is proved without a ledger and a target`);
  const counts: CopyCounts = noCopyCounts();
  try {
    const moved = await moveVerified({
      ...{ source: counting(stoppable(places.source, signal), counts), target: stoppable(places.target, signal) },
      ...{ rule: passRuleOf(piece.copy, leg, 'removing'), ledger, workDirectory: directory, signal },
      checkpointMs: tellEveryMs,
      onObject: (event) => work.name(namedBy(event)),
      onCheckpoint: () => work.tell({ cursor: null, counts, rate: null, waits: null }),
    });
    if (moved.kind === 'stopped') {
      const { code, message } = moved;
      if (signal.aborted || code === 'ABORTED') return endBy(undefined, work, { cursor: null, counts });
      return { kind: 'stopped', code, message, cursor: null, counts, rate: null };
    }
    return {
      ...{ kind: 'complete', cursor: null, rate: null },
      counts: { ...counts, deleted: moved.removed, kept: moved.kept, copied: moved.copied },
    };
  } catch (err) {
    return endBy(err, work, { cursor: null, counts });
  }
}

/** The same side, no call of which is begun once the attempt is to end. */
function stoppable(side: Side, signal: AbortSignal): Side {
  return onCall(side, () => signal.throwIfAborted());
}

function counting(side: Side, counts: CopyCounts): Side {
  return onCall(side, (name) => {
    if (name === 'delete') counts.deleted += 1;
  });
}

function onCall(side: Side, before: (name: string) => void): Side {
  const client = new Proxy(side.client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function' || typeof name !== 'string') return value;
      return (...args: unknown[]): unknown => {
        before(name);
        return (value as (...given: unknown[]) => unknown).apply(target, args);
      };
    },
  }) as ObjectClient;
  return { ...side, client };
}
