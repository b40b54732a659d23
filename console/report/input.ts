/** What a report is made from: rows of the ledger, and what the sandbox alone knows. Plain data. */
import type { ChainVerdict, EventRow } from '../../worker/ledger/chain.ts';
import type { ApprovalRow, EpochRow, FindingRow, RunRow } from '../../worker/ledger/types.ts';
import type { Measurement } from '../../workflows/engine/measure.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';

export interface ReportInput {
  /** Unix milliseconds. */
  generatedAtMs: number;
  /** Name and version of the software that makes the report. */
  software: string;
  /** Of one service, in the order in which they ran: one run, or the runs of a game day. */
  runs: ReportRunInput[];
  /** All epochs of the service. */
  epochs: EpochRow[];
  /** What the clients of the service saw, second by second; null where nobody listened to them. */
  clients: ClientSecond[] | null;
}

export interface ReportRunInput {
  run: RunRow;
  events: EventRow[];
  chain: ChainVerdict;
  /** Figures of the run that the ledger keeps beside its final state. */
  measurements: Measurement[];
  approvals: ApprovalRow[];
  findings: FindingRow[];
  /** By bucket: keys that the freeze of this run found lost, as the ledger remembers them; the first thousand. */
  lostKeys?: Readonly<Record<string, readonly string[]>>;
  /** Rows that this run saved from an old primary before it was rewound. */
  conflictSets: ConflictSet[];
  /** Around the switch of this run; null when nobody wrote or nobody listened. */
  writeGap: WriteGap | null;
  /** Sandbox only. */
  truth: RunTruth | null;
}

/** Writes of one second as the clients saw them. */
export interface ClientSecond {
  /** Start of the second, Unix milliseconds. */
  atMs: number;
  /** Site that answered; null when no site did. */
  site: string | null;
  acked: number;
  failed: number;
}

export interface WriteGap {
  lastAckBeforeMs: number;
  /** `null` when no write was acknowledged after it. */
  firstAckAfterMs: number | null;
}

/** One resource's rows or objects that only the old primary had, or had otherwise. */
export interface ConflictSet {
  resource: string;
  /** Rows when not given. */
  of?: 'rows' | 'objects';
  /** Where the rows lie as JSON lines, and the SHA-256 of that file. */
  file: string | null;
  sha256: string | null;
  rows: ConflictRow[];
}

export interface ConflictRow {
  table: string;
  /** Primary key as text. */
  key: string;
  row: JsonObject;
  /** When the row was written, Unix milliseconds; null when the row does not say. */
  whenMs: number | null;
}

/** Counted by the sandbox's clients, who keep every id that was acknowledged to them. */
export interface RunTruth {
  /** Writes acknowledged until the count was made. */
  acknowledged: number;
  /** Acknowledged, and not to be found at the new writer after the switch of this run. */
  lost: TruthRow[];
  /** Acknowledged by the old primary after the new one was promoted, whoever asked it. */
  ackedByOldAfterPromotion: TruthRow[];
  /** How long clients of the entry could have reached two writers, milliseconds. */
  twoWritersMs: number;
  objects?: ObjectsTruth;
}

/** Objects of a bucket as the clients count them. */
export interface ObjectsTruth {
  resource: string;
  /** Their writers were told that they are kept. */
  confirmed: number;
  /** Confirmed, and not to be found at the writer after the switch of this run. `table` is the bucket. */
  lost: TruthRow[];
  /** When the site was really struck, Unix milliseconds; null when it was not. */
  struckAtMs: number | null;
}

export interface TruthRow {
  table: string;
  key: string;
  ackedAtMs: number;
  /** Site that acknowledged it, when the answer said so. */
  site: string | null;
}
