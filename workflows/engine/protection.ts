/**
 * What keeps a service recoverable between disasters: orders for the workflows that do it, and what they answer. Plain
 * JSON, so that it travels in a workflow input, a schedule or a ledger row alike. Secrets are references, never values.
 */
import type { JsonObject, PlanResource } from './plan.ts';

/** A backup repository. */
export interface Vault {
  name: string;
  /** A directory, `s3://…`, `oss://…`, or a reference to one. */
  repository: string;
  /** Reference to its password. */
  password: string;
  /** Site it lies at, null when at none of the estate's. */
  site: string | null;
  /** Every pack is to be read again within this time; null promises nothing. */
  verifyWithinSeconds: number | null;
  /** Written objects are locked against removal for so long, where the store offers it; null locks nothing. */
  lockSeconds: number | null;
}

/** How many recovery points to keep; what is not given keeps nothing, `{}` keeps everything. Spans as `14d`, `1y6m`. */
export interface Retention {
  last?: number;
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  within?: string;
}

/** A resource and where it is protected from. */
export interface Protected {
  service: string;
  resource: PlanResource;
  /** Site whose copy is read. */
  site: string;
  /** Name of the vault whose place the order's vault takes, its copy: the other one does not answer. */
  insteadOf?: string;
}

/** Where a service is protected now. `no-vault`: it writes away from home, and neither its vault nor a copy answers. */
export type Aim =
  | { kind: 'aimed'; site: string; vault: Vault; /** As in `Protected`, else null. */ insteadOf: string | null }
  | { kind: 'no-vault'; writer: string; why: string };

/** Workflows that are done wherever their service writes: the loss of a site does not make them rest. */
export const followingWorkflows: readonly string[] = ['backup', 'restoreTest'];

/** How rows of a database name objects of a bucket of the same service. */
export interface ObjectReferences {
  /** Name of the bucket's resource. */
  bucket: string;
  /** Default: that of the resource's own connection. */
  database?: string;
  /** Yields a key in its first column; null refers to nothing. */
  sql: string;
}

/** What dangles between a restored database and a recovery point of a bucket. */
export interface DanglingReferences {
  bucket: string;
  pointId: string;
  /** That refer to an object. */
  rows: number;
  objects: number;
  /** Rows whose object is not there, and the first hundred keys. */
  missing: { count: number; names: string[] };
  /** Objects that no row refers to, and the first hundred. */
  unreferred: { count: number; names: string[] };
}

export interface BackupOrder extends Protected {
  vault: Vault;
  /** For those who restore it: nothing is done with them while it is saved. */
  references?: ObjectReferences[];
  /** `schedule`, or who asked for it. */
  startedBy: string;
}

export interface PruneOrder {
  vault: Vault;
  /** By service and resource: what the policy of each is. Others' snapshots are kept. */
  keep: { service: string; resource: string; keep: Retention }[];
  dryRun: boolean;
  startedBy: string;
}

/** Reads packs of a repository and compares them with their names. */
export interface VerifyOrder {
  vault: Vault;
  /** Share of the packs to read now, those first that were read longest ago, percent above 0. */
  percent: number;
  startedBy: string;
}

/** Brings a copy of a repository up to date. */
export interface MirrorOrder {
  from: Vault;
  to: Vault;
  startedBy: string;
}

/** Locks what the recovery points of an immutable vault need for as long again. */
export interface RenewLocksOrder {
  vault: Vault;
  startedBy: string;
}

/** A state that can be restored. It counts once a restore proof says so. */
export interface RecoveryPoint {
  /** `<vault>/<id of the snapshot, 64 hex digits>`. */
  id: string;
  service: string;
  resource: string;
  /** Driver of the resource: `postgres`, `bucket`, ... */
  kind: string;
  site: string;
  vault: string;
  snapshotId: string;
  /** `partial`: what `problems` names is missing or doubtful. It is never proven. */
  status: 'complete' | 'partial';
  startedAtMs: number;
  /** The moment whose state it holds: of a base backup its end, of a bucket the beginning of the listing. */
  takenAtMs: number;
  endedAtMs: number;
  /** Content, unpacked. */
  sizeBytes: number;
  /** What it added to the repository. */
  addedBytes: number;
  files: number;
  /** By kind: of PostgreSQL `{ postgresMajor, systemId, timeline, startLsn, endLsn }`, of a bucket `{ objects }`. */
  facts: JsonObject;
  /** The first hundred, by name. */
  problems: string[];
  problemCount: number;
}

/** Which point to take: the newest complete one, any complete one by chance, or one by its id. */
export type PointChoice = { kind: 'newest' } | { kind: 'random'; seed: string } | { kind: 'id'; id: string };

/** What a restored copy must stand. Everything that is not given is not asked; structure is always looked at. */
export interface ProofChecks {
  /** Rows of tables, both ends included. */
  rows?: { database?: string; table: string; min?: number; max?: number }[];
  /** Passes with at least one row whose first column is neither false nor null. */
  sql?: { name: string; database?: string; sql: string }[];
  /** The newest canary mark may be so much older than the moment restored. */
  canaryMaxAgeSeconds?: number;
  /** Asked of what `start` brought up; `{port}`, `{url}` and `{directory}` stand for where the restored copy is. */
  http?: { url: string; status?: number; contains?: string }[];
  /** Program and arguments brought up beside the restored copy before `http` is asked, and ended afterwards. */
  start?: string[];
  /** Program and arguments that look through the restored files; exit code 0 passes. */
  scanner?: string[];
  /** Objects or files whose content is compared with what was saved, percent; default 100. */
  samplePercent?: number;
  /** Alarm when more than this share of the files changed since the point before, percent; default 50. */
  maxChangedPercent?: number;
  /** Alarm when more than this share of the changed files looks encrypted (entropy), percent; default 20. */
  maxScrambledPercent?: number;
}

export interface RestoreTestOrder extends Protected {
  vault: Vault;
  point: PointChoice;
  /** PostgreSQL: also replay the archived WAL up to there (Unix milliseconds), or as far as it goes. */
  target: { kind: 'point' } | { kind: 'latest' } | { kind: 'time'; atMs: number };
  checks: ProofChecks;
  /** Held against the point of the bucket, in the same vault, that is nearest to the moment restored. */
  references?: ObjectReferences[];
  startedBy: string;
}

/** One thing that was looked at. */
export interface ProofFinding {
  /** `restore`, `checksums`, `structure`, `rows`, `sql`, `canary`, `objects`, `http`, `scanner`, `entropy`, `change-rate`, ... */
  check: string;
  subject: string;
  /** `unknown` never passes. */
  verdict: 'passed' | 'failed' | 'unknown';
  detail: string;
}

/** What a restore test found out, kept for ever. */
export interface RestoreProof {
  /** Id of the workflow run that made it. */
  id: string;
  pointId: string;
  service: string;
  resource: string;
  verdict: 'proven' | 'failed';
  startedAtMs: number;
  endedAtMs: number;
  /** Moment that was restored; null when that is not known. */
  restoredToMs: number | null;
  /** Seconds until the copy could be used: the technical RTO of this restore; null when it never could. */
  restoreSeconds: number | null;
  /** What a forecast learns from; null where it does not apply. */
  figures: {
    restoredBytes: number | null;
    layDownSeconds: number | null;
    walBytes: number | null;
    replaySeconds: number | null;
    verifySeconds: number | null;
  };
  findings: ProofFinding[];
  /** `CODE: message` when it failed, else null. */
  failure: string | null;
  startedBy: string;
}

/** Restores for real: into a place that is empty, never over something that is there. */
export interface RestoreOrder extends Protected {
  vault: Vault;
  point: PointChoice;
  target: RestoreTestOrder['target'] | { kind: 'lsn'; lsn: string } | { kind: 'name'; name: string };
  /** A directory (PGDATA of a database) on the machine of the worker, or a bucket address. */
  into: string;
  /** PostgreSQL: what is held against which point of a bucket once the database is restored. */
  heldAgainst?: { reference: ObjectReferences; point: RecoveryPoint; vault: Vault }[];
  startedBy: string;
}

export interface RestoreDone {
  pointId: string;
  into: string;
  restoredToMs: number | null;
  restoredBytes: number;
  seconds: number;
  /** What to do next, e.g. how to start the server. */
  note: string;
  /** What dangles, where that was to be looked at. */
  dangling?: DanglingReferences[];
}

/** Copies objects of a bucket from the site that writes to the other one, until it is told to stop. */
export interface ReplicateOrder {
  service: string;
  resource: PlanResource;
  from: string;
  to: string;
  startedBy: string;
}

/** Streams a database's WAL into a vault, until it is told to stop. */
export interface ArchiveWalOrder extends Protected {
  vault: Vault;
  /** Commits wait until the archive has them: no acknowledged row is lost with the site. */
  synchronous: boolean;
  startedBy: string;
}

/** What became of one run of protection. */
export interface ProtectionRun {
  /** Id of the workflow run. */
  id: string;
  kind: 'backup' | 'restore' | 'restore-test' | 'prune' | 'verify' | 'mirror' | 'renew-locks' | 'copy';
  /** `''` for what is about a whole vault. */
  service: string;
  resource: string;
  vault: string;
  startedAtMs: number;
  endedAtMs: number;
  outcome: 'done' | 'partial' | 'failed' | 'stopped';
  /** `CODE: message`, or null. */
  failure: string | null;
  facts: JsonObject;
  startedBy: string;
}

/** First detail of a failure whose finding is the ledger's already: whoever sees it next makes no second one. */
export const toldFailure = 'told';

/** What the ledger is told of one run, all at once. Every part may be sent again. */
export interface ProtectionBatch {
  run: ProtectionRun;
  point: RecoveryPoint | null;
  proof: RestoreProof | null;
  /** Ids of recovery points that are there no longer. */
  removed: string[];
  /** What somebody should look at. */
  findings: { severity: 'note' | 'warning' | 'critical'; what: string }[];
}

/** What a person is told while a run goes on (query `status`). */
export interface ProtectionStatus {
  kind: ProtectionRun['kind'];
  service: string;
  resource: string;
  vault: string;
  phase: string;
  startedAtMs: number;
}
