import { mkdirSync } from 'node:fs';
import path from 'node:path';
import {
  copyEtaSeconds,
  mergeNamed,
  type CopyBeat,
  type CopyPiece,
  type CopyPieceEnd,
  type NamedObject,
} from '../../../workflows/engine/copying.ts';
import { errorCatalogue, MusterError } from '../../../workflows/engine/errors.ts';
import type { ProtectionContext } from '../context.ts';
import { takePlace } from '../replicate/place.ts';
import { shareLedgerWithin } from '../../mover/ledger/shared-ledger.ts';
import { pairPiece } from './pair-piece.ts';
import { passPiece } from './pass-piece.ts';
import { copyDir, openCopyPlaces } from './places.ts';
import { removePiece } from './remove-piece.ts';
import { tierPiece } from './tier-piece.ts';
import type { PieceWork, WorkEnd } from './work.ts';

const ledgerWithinMs = 10_000;

/**
 * Runs one piece of a copy, from where the attempt before was when it was killed. What is copied has a row in a ledger
 * below the state directory, so that nothing is copied twice whatever was told last.
 * @returns also when the signal is aborted, then with the cursor to go on from
 * @throws MusterError what passes by itself (a store that is away): it is tried again
 */
export async function copyPiece(piece: CopyPiece, context: ProtectionContext): Promise<CopyPieceEnd> {
  const { copy } = piece;
  const leg = copy.legs[piece.leg];
  if (leg === undefined) throw new MusterError('INTERNAL', `copy ${copy.name} has no leg ${piece.leg}`);
  const own = copyDir(context.stateDir, copy);
  const itself = copyDir(context.stateDir, { ...copy, mode: 'do' });
  const beganMs = performance.now();
  await using place = await takePlace(own, context.signal);
  await using places = openCopyPlaces(copy, leg);
  const directory = path.join(own, places.fingerprint);
  mkdirSync(directory, { recursive: true });
  const needsLedger = copy.mode === 'do' && leg.kind === 'copy';
  await using shared = needsLedger ? await shareLedgerWithin(directory, ledgerWithinMs) : undefined;
  const begin = beginOf(piece, context.before);
  let { named } = begin;
  const tell = (now: Parameters<PieceWork['tell']>[0]): void => context.heartbeat(beatOf(piece, named, now));
  const end = await workOf(piece)({
    ...{
      piece,
      leg,
      places,
      directory,
      remembered: path.join(itself, places.fingerprint),
      ledger: shared?.ledger,
      signal: place.signal,
      cursor: begin.cursor,
      tell,
    },
    name(one) {
      if (one !== undefined) named = mergeNamed(named, [{ ...one, key: leg.filter.prefix + one.key }]);
    },
  });
  const { counts, rate, cursor } = end;
  const answer = { counts, named, elapsedMs: performance.now() - beganMs, rate, failure: null };
  if (end.kind !== 'stopped') return { ...answer, kind: end.kind, cursor };
  const { code, message } = end;
  tell({ cursor, counts, rate, waits: message });
  if (errorCatalogue[code].retryable) throw new MusterError(code, message);
  return { ...answer, kind: 'stopped', cursor, failure: { code, message } };
}

function workOf({ copy, leg, stage }: CopyPiece): (work: PieceWork) => Promise<WorkEnd> {
  const kind = copy.legs[leg]?.kind;
  if (kind === 'tier') return tierPiece;
  if (kind === 'pair') return pairPiece;
  return stage === 'removing' ? removePiece : passPiece;
}

/** What the attempt before told of this very piece, else what the order says. */
function beginOf({ leg, stage, cursor }: CopyPiece, before: unknown): Pick<CopyBeat, 'cursor' | 'named'> {
  const told = before as Partial<CopyBeat> | null | undefined;
  const isOfThis = told?.leg === leg && told.stage === stage && (told.cursor ?? null) !== null;
  return isOfThis ? { cursor: told.cursor ?? null, named: told.named ?? [] } : { cursor, named: [] };
}

function beatOf(
  { leg, stage, toDo }: CopyPiece,
  named: NamedObject[],
  { cursor, counts, rate, waits }: Parameters<PieceWork['tell']>[0],
): CopyBeat {
  const etaSeconds = stage === 'copying' ? copyEtaSeconds(toDo, counts, rate) : null;
  return { leg, stage, cursor, counts, named, rate, etaSeconds, waits, atMs: Date.now() };
}
