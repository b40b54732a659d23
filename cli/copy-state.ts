import { type ReplicationLedger } from '../activities/mover/ledger/ledger.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { Interruption } from './interrupt.ts';
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

/** The first Ctrl-C ends in order, the second at once. `end` takes the handlers away. */
export function stopInOrder(): Interruption {
  return new Interruption(() => note('muster: stops in order; press again to end at once'));
}
