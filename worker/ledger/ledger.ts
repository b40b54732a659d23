import type { ProtectionBatch, ProtectionRun, RecoveryPoint, RestoreProof } from '../../workflows/engine/protection.ts';
import type { ReplicationStatus } from '../../workflows/engine/replication.ts';
import type { Run } from '../../workflows/engine/run.ts';
import { insertApproval, selectApprovals } from './approvals.ts';
import {
  verifyChainExport,
  type ChainExport,
  type ChainHead,
  type ChainVerdict,
  type EventRow,
  type LedgerRecord,
} from './chain.ts';
import { openConnection, type LedgerConnection } from './connection.ts';
import { insertEpoch, selectCurrentEpoch, selectEpochs, type EpochTaken } from './epochs.ts';
import { appendEvents, selectEvents } from './events.ts';
import { insertFinding, selectFindings, selectLatestFindings, type FindingFilter } from './findings.ts';
import { endLease, prolongLease, takeLease, type LeaseHeld, type LeaseWanted } from './leases.ts';
import { insertMeasurements, selectMeasurementsOf, selectSamples } from './measurements.ts';
import { migrate, readMigrations } from './migrate.ts';
import { insertPlanVersion, selectPlanVersions, type PlanVersion } from './plan-versions.ts';
import { insertProtectionRun, selectProtectionRuns, type ProtectionRunFilter } from './protection-runs.ts';
import { insertPoint, insertRemoved, selectPoints, type PointFilter } from './recovery-points.ts';
import { insertProof, selectProofs, type ProofFilter } from './restore-proofs.ts';
import {
  insertLostObjects,
  insertReplicationFigures,
  thinReplicationFigures,
  selectLostObjects,
  selectReplicationFigures,
  type LostObject,
  type ReplicationFigure,
} from './replication.ts';
import { insertRun, sealRun, selectRun, selectRuns, type RunFilter } from './runs.ts';
import type { ApprovalRow, EpochRow, FindingRow, LeaseAnswer, RunOpened, RunRow, RunSummary, Sample } from './types.ts';

/**
 * What is remembered. Every call throws MusterError LEDGER_UNREACHABLE, naming since when, while the database does not
 * answer (connecting 2 s, a statement 5 s); LEDGER_CONFLICT when other content is there already. Every write may be
 * sent again.
 */
export interface Ledger {
  /** Brings the tables to this version. @returns names of the files applied now */
  migrate(): Promise<string[]>;

  runOpened(run: RunOpened): Promise<void>;
  /** Adds the engine's records. @returns the chain's new head */
  append(runId: string, records: readonly LedgerRecord[]): Promise<ChainHead>;
  /** Seals an ended run; all its records must have been appended. */
  finishRun(run: Run, finishedAtMs: number): Promise<void>;
  /** @throws MusterError RUN_UNKNOWN */
  getRun(runId: string): Promise<RunRow>;
  /** Newest first. */
  listRuns(filter?: RunFilter): Promise<RunSummary[]>;
  events(runId: string): Promise<EventRow[]>;
  /** Everything needed to verify a run offline. */
  exportChain(runId: string): Promise<ChainExport>;
  verifyChain(runId: string): Promise<ChainVerdict>;

  addMeasurements(batch: readonly Sample[]): Promise<void>;
  measurementsOf(runId: string): Promise<Sample[]>;
  /** Figures of a service between two moments, of watch and of runs. */
  samplesOf(service: string, fromMs: number, toMs: number): Promise<Sample[]>;

  /** The epoch to ask for next; nothing is taken. */
  nextEpoch(service: string): Promise<number>;
  /** @throws MusterError EPOCH_STALE unless the epoch is higher than all, or the same once more */
  takeEpoch(taken: EpochTaken): Promise<EpochRow>;
  currentEpoch(service: string): Promise<EpochRow | null>;
  epochsOf(service: string): Promise<EpochRow[]>;

  acquireLease(wanted: LeaseWanted): Promise<LeaseAnswer>;
  renewLease(held: LeaseHeld): Promise<LeaseAnswer>;
  /** @returns false when it was not held (any more) */
  releaseLease(held: Omit<LeaseHeld, 'ttlMs'>): Promise<boolean>;

  addApproval(approval: ApprovalRow): Promise<void>;
  approvalsOf(runId: string): Promise<ApprovalRow[]>;
  addFinding(finding: FindingRow): Promise<void>;
  findingsOf(runId: string): Promise<FindingRow[]>;
  /** Of runs, schedules, archives and vaults alike, newest first. */
  findings(filter?: FindingFilter): Promise<FindingRow[]>;
  addPlanVersion(version: PlanVersion): Promise<void>;
  planVersionsOf(service: string): Promise<PlanVersion[]>;

  /** Writes what a run of protection came to, all of it or nothing. */
  addProtection(batch: ProtectionBatch): Promise<void>;
  /** Newest first. */
  protectionRuns(filter?: ProtectionRunFilter): Promise<ProtectionRun[]>;
  /** Recovery points that retention has not removed, newest first. */
  recoveryPoints(filter?: PointFilter): Promise<RecoveryPoint[]>;
  /** Newest first. */
  restoreProofs(filter?: ProofFilter): Promise<RestoreProof[]>;

  addReplicationFigures(batch: readonly ReplicationStatus[]): Promise<void>;
  /** Leaves of figures from before a moment (Unix milliseconds) the worst of each quarter of an hour. */
  thinReplicationFigures(beforeMs: number): Promise<void>;
  /** What a replication said between two moments, oldest first. */
  replicationFiguresOf(
    of: { service: string; resource: string },
    between: { fromMs: number; toMs: number },
  ): Promise<ReplicationFigure[]>;
  addLostObjects(of: { runId: string; resource: string }, lost: readonly LostObject[]): Promise<void>;
  /** The first written first; all of them without a limit. */
  lostObjectsOf(runId: string, resource: string, limit?: number): Promise<LostObject[]>;

  close(): Promise<void>;
}

/** Opens the ledger; nothing is connected before the first call. @throws MusterError CONFIG_INVALID */
export function openLedger(url: string): Ledger {
  const db = openConnection(url);
  return {
    migrate: async () => migrate(db, await readMigrations()),
    ...runsOf(db),
    ...figuresOf(db),
    ...claimsOf(db),
    ...decisionsOf(db),
    ...replicationOf(db),
    ...protectionOf(db),
    close: () => db.close(),
  };
}

function runsOf(db: LedgerConnection) {
  return {
    runOpened: (run: RunOpened) =>
      db.transact(async (sql) => {
        const { plan, estateHash, openedAtMs } = run;
        await insertPlanVersion(sql, { plan, estateHash, firstSeenAtMs: openedAtMs });
        await insertRun(sql, run);
      }),
    append: (runId: string, records: readonly LedgerRecord[]) =>
      db.transact((sql) => appendEvents(sql, runId, records)),
    finishRun: (run: Run, finishedAtMs: number) => db.transact((sql) => sealRun(sql, run, finishedAtMs)),
    getRun: (runId: string) => selectRun(db, runId),
    listRuns: (filter: RunFilter = {}) => selectRuns(db, filter),
    events: (runId: string) => selectEvents(db, runId),
    exportChain: (runId: string) => exportChain(db, runId),
    verifyChain: async (runId: string) => verifyChainExport(await exportChain(db, runId)),
  };
}

/** Row and events under one lock, so that a run still going is seen at one moment. */
async function exportChain(db: LedgerConnection, runId: string): Promise<ChainExport> {
  return db.transact(async (sql) => {
    const { plan, estateHash, head, final, sealHash } = await selectRun(sql, runId, 'FOR UPDATE');
    return { version: 1, runId, plan, estateHash, events: await selectEvents(sql, runId), head, final, sealHash };
  });
}

function figuresOf(db: LedgerConnection) {
  return {
    addMeasurements: (batch: readonly Sample[]) => insertMeasurements(db, batch),
    measurementsOf: (runId: string) => selectMeasurementsOf(db, runId),
    samplesOf: (service: string, fromMs: number, toMs: number) => selectSamples(db, service, fromMs, toMs),
  };
}

function claimsOf(db: LedgerConnection) {
  return {
    nextEpoch: async (service: string) => ((await selectCurrentEpoch(db, service))?.epoch ?? 0) + 1,
    takeEpoch: (taken: EpochTaken) => db.transact((sql) => insertEpoch(sql, taken)),
    currentEpoch: (service: string) => selectCurrentEpoch(db, service),
    epochsOf: (service: string) => selectEpochs(db, service),
    acquireLease: (wanted: LeaseWanted) => takeLease(db, wanted),
    renewLease: (held: LeaseHeld) => prolongLease(db, held),
    releaseLease: (held: Omit<LeaseHeld, 'ttlMs'>) => endLease(db, held),
  };
}

function decisionsOf(db: LedgerConnection) {
  return {
    addApproval: (approval: ApprovalRow) => insertApproval(db, approval),
    approvalsOf: (runId: string) => selectApprovals(db, runId),
    addFinding: (finding: FindingRow) => insertFinding(db, finding),
    findingsOf: (runId: string) => selectFindings(db, runId),
    findings: (filter: FindingFilter = {}) => selectLatestFindings(db, filter),
    addPlanVersion: (version: PlanVersion) => insertPlanVersion(db, version),
    planVersionsOf: (service: string) => selectPlanVersions(db, service),
  };
}

function protectionOf(db: LedgerConnection) {
  return {
    addProtection: ({ run, point, proof, removed, findings }: ProtectionBatch) =>
      db.transact(async (sql) => {
        await insertProtectionRun(sql, run);
        if (point !== null) await insertPoint(sql, point);
        if (proof !== null) await insertProof(sql, proof);
        await insertRemoved(sql, removed, run.id, run.endedAtMs);
        for (const { severity, what } of findings) {
          const of = { service: run.service, runId: run.id, stepId: null };
          await insertFinding(sql, { ...of, severity, what, atMs: run.endedAtMs });
        }
      }),
    protectionRuns: (filter: ProtectionRunFilter = {}) => selectProtectionRuns(db, filter),
    recoveryPoints: (filter: PointFilter = {}) => selectPoints(db, filter),
    restoreProofs: (filter: ProofFilter = {}) => selectProofs(db, filter),
  };
}

function replicationOf(db: LedgerConnection) {
  return {
    addReplicationFigures: (batch: readonly ReplicationStatus[]) => insertReplicationFigures(db, batch),
    thinReplicationFigures: (beforeMs: number) => thinReplicationFigures(db, beforeMs),
    replicationFiguresOf: (of: { service: string; resource: string }, between: { fromMs: number; toMs: number }) =>
      selectReplicationFigures(db, of, between),
    addLostObjects: (of: { runId: string; resource: string }, lost: readonly LostObject[]) =>
      insertLostObjects(db, of, lost),
    lostObjectsOf: (runId: string, resource: string, limit?: number) =>
      selectLostObjects(db, { runId, resource }, limit ?? null),
  };
}
