import { type Ballot } from '../consensus/ballot.ts';
import { textOf } from './bytes.ts';
import { type AcceptRequest, type DataId, type IndexKey, type LearnRequest } from './drive-api.ts';
import { type IndexStore, type IndexWrite } from './index-store.ts';
import { encodeLog, encodeRegister, logKey, type OlderRow, type RegisterRow } from './rows.ts';

/** The rows of one accepted (or learnt) value, beside those of its data. */
export function acceptWrites(
  index: IndexStore,
  request: AcceptRequest | LearnRequest,
  { before, decided }: { before: RegisterRow | undefined; decided: boolean },
): IndexWrite[] {
  const { key, ballot, tombstone, hidden, state, headData } = request;
  const frees = freesOf(request, before);
  // With something to free the row is written once more when that is done, and says so then.
  const row: RegisterRow = {
    ballot,
    decided: decided && frees.length === 0,
    tombstone,
    hidden,
    state,
    headData,
    frees,
    older: decided ? [] : layersUnder(before, request),
  };
  const writes: IndexWrite[] = [{ table: 'registers', key, value: encodeRegister(row) }];
  for (const cancelled of request.cancels) {
    if (cancelled !== ballot) writes.push({ table: 'log', key: logKey(key, cancelled), value: undefined });
  }
  if (before?.decided === true && before.ballot !== ballot && !request.cancels.includes(before.ballot)) {
    writes.push(...confirmLog(index, key, before.ballot));
  } else if ('base' in request && request.base > 0) writes.push(...confirmLog(index, key, request.base));
  if (request.change !== undefined) {
    const value = encodeLog({ key, note: request.change.note, decided });
    writes.push({ table: 'log', key: logKey(key, ballot), value });
  }
  return writes;
}

/** What lies under a value that is accepted now: down to the newest that is known to be decided. */
function layersUnder(before: RegisterRow | undefined, request: AcceptRequest | LearnRequest): OlderRow[] {
  const older: OlderRow[] = [];
  if (before === undefined || !('base' in request)) return older;
  for (const { ballot, decided, tombstone, hidden, state, headData } of [before, ...before.older]) {
    if (ballot < request.base) break;
    if (request.cancels.includes(ballot)) continue;
    const known = decided || ballot === request.base;
    older.push({ ballot, decided: known, tombstone, hidden, state, headData });
    if (known) break;
  }
  return older;
}

/** Takes away a register whose ballot was decided, beside what it frees. */
export function forgetWrites(index: IndexStore, key: IndexKey, ballot: Ballot): IndexWrite[] {
  return [...confirmLog(index, key, ballot), { table: 'registers', key, value: undefined }];
}

/** The log row of a ballot whose register goes: from now on only the row itself can say that it was decided. */
function confirmLog(index: IndexStore, key: IndexKey, ballot: Ballot): IndexWrite[] {
  const at = logKey(key, ballot);
  const value = index.get('log', at);
  if (value === undefined || value[0] === 1) return [];
  value[0] = 1;
  return [{ table: 'log', key: at, value }];
}

/** What the older ballots meant to free, and this one, less what this one keeps or brings. */
function freesOf(request: AcceptRequest | LearnRequest, before: RegisterRow | undefined): DataId[] {
  if (request.frees.length === 0 && (before === undefined || before.frees.length === 0)) return [];
  const frees = new Map<string, DataId>();
  for (const id of [...(before?.frees ?? []), ...request.frees]) frees.set(textOf(id), id);
  for (const id of request.keeps) frees.delete(textOf(id));
  for (const { dataId } of request.puts) frees.delete(textOf(dataId));
  return [...frees.values()];
}
