import { once } from 'node:events';
import type { ProofFinding } from '../../../workflows/engine/protection.ts';
import { failed, passed, unknown } from './finding.ts';
import type { Place } from './place.ts';
import { startProgram, type Ended, type Whereabouts } from './program.ts';

const limitMs = 6 * 3_600_000;

/** Lets the user's scanner look through the restored copy: its exit code 0 passes, any other is what it found. */
export async function scannerFinding(
  scanner: readonly string[],
  { place, where, signal }: { place: Place; where: Whereabouts; signal: AbortSignal },
): Promise<ProofFinding> {
  const [subject = ''] = scanner;
  const program = await startProgram(scanner, place, where);
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    const ended = await Promise.race([program.ended, endOf(limit)]);
    signal.throwIfAborted();
    return judge(subject, ended, program.lastWords());
  } finally {
    await program.end();
  }
}

async function endOf(signal: AbortSignal): Promise<Ended> {
  if (!signal.aborted) await once(signal, 'abort');
  return { exitCode: null, why: 'it took too long' };
}

function judge(subject: string, { exitCode, why }: Ended, words: string): ProofFinding {
  const about = { check: 'scanner', subject };
  const said = words === '' ? 'it said nothing' : words;
  if (why !== null) return unknown({ ...about, detail: `${why}; ${said}` });
  if (exitCode === 0) return passed({ ...about, detail: said });
  return failed({ ...about, detail: `exit code ${exitCode}: ${said}` });
}
