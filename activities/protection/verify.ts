import type { VerifyOrder } from '../../workflows/engine/protection.ts';
import { check, type CheckResult } from '../backup/engine/check.ts';
import { oldestUnverified } from '../backup/engine/verified-packs.ts';
import type { ProtectionContext } from './context.ts';
import { withVault } from './vault.ts';

export interface VerifyDone {
  kind: CheckResult['kind'];
  snapshots: number;
  packs: CheckResult['packs'];
  /** Packs never read since they were written, and the age of the oldest verification of the others, seconds. */
  verified: CheckResult['verified'];
  /** Since the pack that was read longest ago was read, or written; null where there are no packs. */
  oldestUnverifiedSeconds: number | null;
  /** The first hundred, by name: what is wrong, and which files of which snapshots it hurts. */
  problems: string[];
  problemCount: number;
  hurt: string[];
  hurtCount: number;
}

const named = 100;

/**
 * Compares a vault's repository with itself and reads a share of its packs, those first that were read longest ago.
 * Damage is a result, not an error. @throws MusterError as `withVault`
 */
export async function verifyVault(order: VerifyOrder, context: ProtectionContext): Promise<VerifyDone> {
  return withVault(order.vault, 'shared', context, async ({ repository, signal }) => {
    const result = await check({
      ...{ repository, signal },
      read: order.percent >= 100 ? { kind: 'all' } : { kind: 'oldest', percent: order.percent },
      onProgress: (progress) => context.heartbeat({ phase: 'reading', ...progress }),
    });
    // A damaged index is among the problems already; it leaves the age unknown.
    const ageSeconds = await oldestUnverified(repository).then(
      (one) => one.ageSeconds,
      () => null,
    );
    const damage = result.problems.filter(({ severity }) => severity === 'damage');
    return {
      ...{ kind: result.kind, snapshots: result.snapshots, packs: result.packs, verified: result.verified },
      oldestUnverifiedSeconds: ageSeconds,
      problems: damage.slice(0, named).map(({ file, why }) => (file === '' ? why : `${file}: ${why}`)),
      problemCount: damage.length,
      hurt: result.hurt.slice(0, named).map((one) => hurtText(one)),
      hurtCount: result.hurt.length,
    };
  });
}

function hurtText({ snapshot, path, why }: CheckResult['hurt'][number]): string {
  return `${snapshot.slice(0, 8)}:${path}: ${why}`;
}
