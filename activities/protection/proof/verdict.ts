import type { ProofFinding, RestoreProof } from '../../../workflows/engine/protection.ts';
import { named } from './finding.ts';

/** Checks that looked at what was saved. The others look at lists, numbers and shares: alone they prove nothing. */
const contentChecks = new Set(['objects', 'files', 'contents', 'amcheck', 'rows', 'sql', 'canary', 'http', 'scanner']);

/**
 * Proven is what was restored without failure, has passed everything that was asked, and of which at least one check
 * has seen the content. Pure.
 * @param failure what ended the restore early, `CODE: message`
 */
export function verdictOf(
  findings: readonly ProofFinding[],
  failure: string | null,
): Pick<RestoreProof, 'verdict' | 'failure'> {
  if (failure !== null) return { verdict: 'failed', failure };
  const bad = findings.filter(({ verdict }) => verdict !== 'passed');
  if (bad.length > 0) {
    const words = bad.map(({ check, subject, verdict, detail }) => {
      return `${check} ${subject} ${verdict === 'unknown' ? 'is unknown' : 'failed'}: ${detail}`;
    });
    return { verdict: 'failed', failure: `PROOF_FAILED: ${named(words)}` };
  }
  if (findings.some(({ check }) => contentChecks.has(check))) return { verdict: 'proven', failure: null };
  return { verdict: 'failed', failure: 'PROOF_FAILED: no check has looked at the content' };
}
