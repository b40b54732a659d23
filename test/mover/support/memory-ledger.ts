import { isInside } from '../../../activities/mover/compare/ranges.ts';
import { compareKeys } from '../../../activities/objects/keys.ts';
import { noteWrite, settleWrite } from '../../../activities/mover/ledger/advance-row.ts';
import {
  type LedgerRow,
  type Observed,
  type ReplicationLedger,
  type Tally,
} from '../../../activities/mover/ledger/ledger.ts';

/** A ledger without a disk, by the same rules of rows; no uploads. For properties over many short histories. */
export function memoryLedger(): ReplicationLedger {
  const rows = new Map<string, LedgerRow>();
  const notes = new Map<string, unknown>();
  let seq = 0;
  let observed: Observed | undefined;
  const idOf = ({ key, version }: { key: string; version: string }): string => `${key}\0${version}`;
  const keep = (row: LedgerRow | undefined): void => {
    if (row !== undefined) rows.set(idOf(row), row);
  };
  const open = (): LedgerRow[] =>
    [...rows.values()]
      .filter(({ state }) => state !== 'verified')
      .toSorted((a, b) => a.dueSinceMs - b.dueSinceMs || a.seq - b.seq);
  const tally = (state: LedgerRow['state']): Tally => {
    const found = open().filter((row) => row.state === state);
    return { objects: found.length, sizeBytes: found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
  };
  const ledger: Partial<ReplicationLedger> = {
    lookUp: (of) => Promise.resolve(of.map((id) => rows.get(idOf(id)))),
    note(writes) {
      for (const write of writes) keep(noteWrite(rows.get(idOf(write)), write, (seq += 1)));
      return Promise.resolve();
    },
    settle(outcomes) {
      for (const one of outcomes) {
        const before = rows.get(idOf(one));
        keep(settleWrite(before, one, before?.seq ?? (seq += 1)));
      }
      return Promise.resolve();
    },
    async *rows({ after = '', upTo } = {}) {
      const found = [...rows.values()].filter(({ key }) =>
        isInside(upTo === undefined ? { after } : { after, upTo }, key),
      );
      yield* found.toSorted((a, b) => compareKeys(a.key, b.key));
    },
    async *backlog() {
      yield* open();
    },
    totals() {
      const oldest = open()[0];
      return Promise.resolve({
        ...{ pending: tally('pending'), copied: tally('copied'), failed: tally('failed') },
        verifiedRows: rows.size - open().length,
        ...(oldest === undefined ? {} : { oldestDueMs: oldest.dueSinceMs }),
      });
    },
    observed: () => Promise.resolve(observed),
    setObserved(next) {
      observed = next;
      return Promise.resolve();
    },
    getNote: (name) => Promise.resolve(notes.get(name)),
    setNote(name, value) {
      notes.set(name, value);
      return Promise.resolve();
    },
    frozen: () => Promise.resolve(undefined),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return ledger as ReplicationLedger;
}
