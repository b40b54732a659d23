import { type ReplicationLedger } from '../activities/mover/ledger/ledger.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { note } from './output.ts';

/** A state belongs to one pair of places: another pair would take its rows for its own. */
export async function openState(directory: string, fingerprint: string): Promise<ReplicationLedger> {
  const { openLmdbLedger } = await import('../activities/mover/ledger/lmdb-ledger.ts');
  const ledger = openLmdbLedger(directory);
  const known = await ledger.getNote('places');
  if (known === undefined && (await ledger.frozen()) === undefined) await ledger.setNote('places', fingerprint);
  if (known === undefined || known === fingerprint) return ledger;
  await ledger[Symbol.asyncDispose]();
  throw new MusterError('CONFIG_INVALID', `--state ${directory} belongs to another source or target`);
}

/** One Ctrl-C may arrive twice: by the terminal, and passed on by `npx`. Nobody means the second so soon. */
const sameMs = 500;

/** The first Ctrl-C ends in order, the second at once. @returns takes the handlers away */
export function onInterrupt(stop: () => void): () => void {
  let askedMs: number | undefined;
  const handler = (): void => {
    const nowMs = performance.now();
    if (askedMs !== undefined) {
      if (nowMs - askedMs > sameMs) process.exit(1);
      return;
    }
    askedMs = nowMs;
    note('muster: stops in order; press again to end at once');
    stop();
  };
  /** Whoever read the output has seen enough (`| head`). */
  const broken = (err: NodeJS.ErrnoException): void => {
    if (err.code !== 'EPIPE') throw err;
    stop();
  };
  process.on('SIGINT', handler).on('SIGTERM', handler);
  process.stdout.on('error', broken);
  return () => process.off('SIGINT', handler).off('SIGTERM', handler);
}
