import { type Ballot } from '../consensus/ballot.ts';
import { textOf } from './bytes.ts';
import { type AcceptRequest, type DataId, type IndexKey, type LearnRequest } from './drive-api.ts';
import { type IndexStore, type IndexWrite } from './index-store.ts';
import { encodeLog, encodeRegister, logKey, type RegisterRow } from './rows.ts';

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
  };
  const writes: IndexWrite[] = [{ table: 'registers', key, value: encodeRegister(row) }];
  for (const cancelled of request.cancels) {
    if (cancelled !== ballot) writes.push({ table: 'log', key: logKey(key, cancelled), value: undefined });
  }
  if (before?.decided === true && before.ballot !== ballot && !request.cancels.includes(before.ballot)) {
    writes.push(...confirmLog(index, key, before.ballot));
  }
  if (request.change !== undefined) {
    const value = encodeLog({ key, note: request.change.note, decided });
    writes.push({ table: 'log', key: logKey(key, ballot), value });
  }
  return writes;
}

/** The log row of a ballot that a newer one replaces: from now on only the row itself can say that it was decided. */
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
