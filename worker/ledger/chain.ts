/**
 * The chain of a run's events, pure: how rows are hashed and how they are checked. It needs no database, so that an
 * exported run verifies offline. Seq 0 is the run itself (id, plan, estate); each event carries the hash of the one
 * before; the seal of a finished run covers the last event and the final state.
 */
import type { JsonObject, Plan } from '../../workflows/engine/plan.ts';
import type { Command } from '../../workflows/engine/run.ts';
import { canonicalJson, sha256Hex, storableText } from './canonical.ts';
import type { FinalState } from './types.ts';

/** The engine's `record` command: gap-free numbers from 1, `atMs` in Unix milliseconds by the run's one clock. */
export type LedgerRecord = Omit<Extract<Command, { kind: 'record' }>, 'kind'>;

export interface EventRow extends LedgerRecord {
  data: JsonObject;
  /** Hash of the event before; of seq 0 for the first. SHA-256, hex. */
  prevHash: string;
  hash: string;
}

export interface ChainHead {
  seq: number;
  hash: string;
}

/** Everything that is needed to check a run without a database. */
export interface ChainExport {
  version: 1;
  runId: string;
  plan: Plan;
  estateHash: string;
  events: EventRow[];
  /** What the ledger says the last event is; without it a cut tail could not be seen. */
  head: ChainHead;
  final: FinalState | null;
  sealHash: string | null;
}

export type ChainVerdict =
  /** `head`: hash of the seal when the run has ended, else of the last event. */
  | { ok: true; events: number; head: string; sealed: boolean }
  /** `seq`: the first bad event; 0 is the run's own row, the number after the last event is the seal. */
  | { ok: false; seq: number; why: string };

/** Hash of seq 0. */
export function genesisHash(runId: string, plan: Plan, estateHash: string): string {
  return sha256Hex(canonicalJson({ version: 1, runId, estateHash, plan }));
}

/** A record as the ledger keeps it: its text columns cleaned before anything is hashed. */
export function storable(record: LedgerRecord): LedgerRecord {
  const { seq, atMs, what, stepId, data } = record;
  return { seq, atMs, what: storableText(what), stepId: stepId === null ? null : storableText(stepId), data };
}

export function eventHash(runId: string, prevHash: string, record: LedgerRecord): string {
  const { seq, atMs, what, stepId, data } = record;
  return sha256Hex(`${prevHash}\n${canonicalJson({ runId, seq, atMs, what, stepId, data })}`);
}

export function sealHash(headHash: string, final: FinalState): string {
  return sha256Hex(`${headHash}\n${canonicalJson(final)}`);
}

/** Links records behind a head. */
export function linkRecords(runId: string, head: ChainHead, records: readonly LedgerRecord[]): EventRow[] {
  let prevHash = head.hash;
  return records.map((record) => {
    const hash = eventHash(runId, prevHash, record);
    const row = { ...record, prevHash, hash };
    prevHash = hash;
    return row;
  });
}

/** Checks an exported run from its plan to its seal. Total: whatever the rows hold, it answers. */
export function verifyChainExport(run: ChainExport): ChainVerdict {
  let head: ChainHead = { seq: 0, hash: genesisHash(run.runId, run.plan, run.estateHash) };
  for (const row of run.events) {
    const why = faultOf(run.runId, head, row);
    if (why !== null) return { ok: false, seq: head.seq + 1, why };
    head = { seq: row.seq, hash: row.hash };
  }
  if (run.head.seq !== head.seq)
    return { ok: false, seq: head.seq + 1, why: `the chain ends at ${head.seq}, the run says ${run.head.seq}` };
  if (run.head.hash !== head.hash)
    return { ok: false, seq: head.seq, why: 'the last hash is not the one the run was left with' };
  return verifySeal(run, head);
}

function faultOf(runId: string, head: ChainHead, row: EventRow): string | null {
  if (row.seq !== head.seq + 1) return `event ${head.seq + 1} is missing or out of order: found ${row.seq}`;
  if (row.prevHash !== head.hash)
    return row.seq === 1
      ? 'the plan, the estate or the run is not the one of event 1'
      : 'does not follow the event before';
  return eventHash(runId, head.hash, row) === row.hash ? null : 'the content is not what was hashed';
}

function verifySeal(run: ChainExport, head: ChainHead): ChainVerdict {
  const { final, sealHash: seal } = run;
  const events = head.seq;
  if (final === null && seal === null) return { ok: true, events, head: head.hash, sealed: false };
  if (final === null || seal === null)
    return { ok: false, seq: events + 1, why: 'final state and seal do not come together' };
  if (sealHash(head.hash, final) !== seal)
    return { ok: false, seq: events + 1, why: 'the final state is not what was sealed' };
  return { ok: true, events, head: seal, sealed: true };
}
