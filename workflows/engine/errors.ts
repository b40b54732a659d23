/** Every failure an operator can meet. `docs/errors.md` is kept equal to this list by a test. */
export const errorCatalogue = {
  CONFIG_INVALID: { retryable: false, hint: 'Fix the named setting and start again.' },
  ESTATE_INVALID: {
    retryable: false,
    hint: 'Correct the file at the line shown; `muster lint` checks it without starting anything.',
  },
  RUNBOOK_INVALID: { retryable: false, hint: 'Correct the runbook at the line shown; `muster lint` checks it.' },
  PLAN_UNSAFE: { retryable: false, hint: 'Change the runbook so that the named rule holds; nothing was started.' },
  PLAN_CHANGED: { retryable: false, hint: 'The plan does not match its hash; compile it again.' },
  SERVICE_UNKNOWN: { retryable: false, hint: 'Use a service named in muster.yaml.' },
  SITE_UNKNOWN: { retryable: false, hint: 'Use a site named in muster.yaml.' },
  SECRET_MISSING: {
    retryable: false,
    hint: 'Set the environment variable or create the file that the reference names.',
  },
  RUN_ACTIVE: { retryable: false, hint: 'Wait for the running run to end, or abort it.' },
  RUN_UNKNOWN: { retryable: false, hint: 'List the runs with `muster status`.' },
  NOT_WAITING: { retryable: false, hint: 'The run is not asking for this now; see `muster status`.' },
  TARGET_DEAD: {
    retryable: false,
    hint: 'The site to fail over to does not answer; nothing was changed. Repair it or name another.',
  },
  TARGET_NOT_STANDBY: {
    retryable: false,
    hint: 'The target is not a standby of this source; check the estate and replication.',
  },
  ALREADY_PRIMARY: { retryable: false, hint: 'The target already holds the writer; there is nothing to fail over.' },
  RPO_EXCEEDED: { retryable: false, hint: 'Approve the loss by name, or wait until the standby has caught up.' },
  LAG_UNKNOWN: { retryable: true, hint: 'The replication lag cannot be read; check the standby and its link.' },
  FENCE_UNCONFIRMED: {
    retryable: true,
    hint: 'Stop the old writer by hand and resume, or let two people accept the split-brain risk.',
  },
  EPOCH_STALE: { retryable: false, hint: 'A newer run has moved the service since; compile a new plan.' },
  LEASE_REFUSED: { retryable: true, hint: 'Another site holds the lease, or the granter was told to stop.' },
  PROMOTE_FAILED: {
    retryable: true,
    hint: 'Read the server log of the target; the step confirms before it is tried again.',
  },
  REJOIN_FAILED: {
    retryable: true,
    hint: 'Read the server log of the rejoining site; its old data directory is kept aside.',
  },
  REPLICATION_NOT_RUNNING: { retryable: true, hint: 'The standby is not streaming; check its log and the link.' },
  VERIFY_FAILED: {
    retryable: true,
    hint: 'The service does not answer real clients at the new site; check the application there.',
  },
  ROUTE_FAILED: { retryable: true, hint: 'The entry did not take or keep the new route; check the proxy.' },
  CONFLICT_EXPORT_FAILED: {
    retryable: true,
    hint: 'The rows that only the old primary has were not saved; it is not rewound before they are.',
  },
  AGENT_UNREACHABLE: { retryable: true, hint: 'The site agent does not answer; check the site and its link.' },
  DATABASE_UNREACHABLE: {
    retryable: true,
    hint: 'The database does not answer; check the server, its address and the link.',
  },
  STORAGE_UNREACHABLE: {
    retryable: true,
    hint: 'No node of the storage cluster answers for it; see `muster storage-node status` there.',
  },
  PROXY_UNREACHABLE: { retryable: true, hint: 'The admin address of the entry does not answer; check the proxy.' },
  LEDGER_UNREACHABLE: {
    retryable: true,
    hint: 'Runs go on and are recorded when the ledger is back; reports wait for it.',
  },
  LEDGER_CONFLICT: {
    retryable: false,
    hint: 'The ledger holds something else here and nothing was overwritten; find out who wrote it before going on.',
  },
  TEMPORAL_UNREACHABLE: {
    retryable: true,
    hint: 'Start Temporal or set TEMPORAL_ADDRESS; services keep serving meanwhile.',
  },
  STEP_TIMEOUT: {
    retryable: true,
    hint: 'The step did not end within its limit; its result was read back and is not there.',
  },
  STEP_UNKNOWN: {
    retryable: true,
    hint: 'Nobody knows whether the step happened; look at the resource, then retry or skip.',
  },
  OPERATOR_ABORTED: { retryable: false, hint: 'The run was ended by a person; undone steps are listed in the report.' },
  BUCKET_UNKNOWN: { retryable: false, hint: 'Create the bucket, or correct its name, region or endpoint.' },
  OBJECT_UNKNOWN: {
    retryable: false,
    hint: 'There is no such object or version; list the bucket to see what is there.',
  },
  OBJECT_STORE_UNREACHABLE: {
    retryable: true,
    hint: 'The endpoint or disk does not answer, fails or is overloaded; check its address, the link and its health.',
  },
  OBJECT_STORE_REFUSED: {
    retryable: false,
    hint: 'The object store answered and said no; its own words are in the message.',
  },
  CREDENTIALS_REFUSED: {
    retryable: false,
    hint: 'The keys are wrong, have expired or may not do this (of a directory: this user may not, or it is read-only); give the right and run it again, it goes on where it was.',
  },
  OBJECT_CHANGED: {
    retryable: true,
    hint: 'The object is not the one that was looked at; nothing was overwritten. The next pass takes the new one.',
  },
  OBJECT_ARCHIVED: {
    retryable: false,
    hint: 'Restore the object from its archive tier first, or leave it out with a filter.',
  },
  OBJECT_LOCKED: { retryable: false, hint: 'Retention or a legal hold protects the object; it stays until that ends.' },
  CHECKSUM_MISMATCH: {
    retryable: true,
    hint: 'What arrived is not what was sent or stored; the copy does not count. If it repeats, the source is damaged.',
  },
  TARGET_FULL: {
    retryable: false,
    hint: 'Free space or raise the quota, then run it again; what was written is kept and goes on from there.',
  },
  VERSIONING_SUSPENDED: {
    retryable: false,
    hint: 'Enable versioning on the bucket again, or state in the estate that its objects have no versions.',
  },
  DELETE_GUARD: {
    retryable: false,
    hint: 'More would be deleted than the guard allows; look at the list, then raise the share if that is meant.',
  },
  REPLICATION_FROZEN: {
    retryable: false,
    hint: 'A failover froze this replication; its list of lost keys is final. Start it again the other way.',
  },
  REPOSITORY_MISSING: {
    retryable: false,
    hint: 'There is no repository; check the address, or make one with `muster repo init`.',
  },
  REPOSITORY_EXISTS: { retryable: false, hint: 'There is a repository already; it was not touched.' },
  REPOSITORY_LOCKED: {
    retryable: true,
    hint: 'Another client works on the repository; wait for it. A lock of a dead client is stale after 30 minutes.',
  },
  REPOSITORY_KEY_WRONG: {
    retryable: false,
    hint: 'Give another password of this repository; `muster repo key list` with one that opens it shows the keys. Without any, nothing in it can be read.',
  },
  REPOSITORY_DAMAGED: {
    retryable: false,
    hint: '`muster repo check --read-data` names every damaged file; restore those packs from the copy of the vault.',
  },
  REPOSITORY_UNSUPPORTED: {
    retryable: false,
    hint: 'Only repositories of restic format version 2 are read and written.',
  },
  SNAPSHOT_UNKNOWN: { retryable: false, hint: 'List them with `muster repo snapshots`.' },
  RETENTION_UNSAFE: {
    retryable: false,
    hint: 'The policy would drop every snapshot of a group; give it at least one rule that keeps something.',
  },
  SOURCE_UNREADABLE: { retryable: false, hint: 'Check that the path exists and may be read.' },
  RESTORE_FAILED: {
    retryable: false,
    hint: 'What could be restored is there; the message names what is missing. Restore it from another snapshot.',
  },
  WAL_GAP: {
    retryable: false,
    hint: 'A piece of WAL is missing: nothing behind it can be reached. Take a new base backup now.',
  },
  WAL_CONFLICT: {
    retryable: false,
    hint: 'The archive holds other bytes under this name: two servers write to it, or history forked. Find out which.',
  },
  RECOVERY_TARGET_UNREACHABLE: {
    retryable: false,
    hint: 'No base backup and WAL lead there; `muster recovery-points` lists what can be reached.',
  },
  PROOF_FAILED: {
    retryable: false,
    hint: 'The restored copy did not pass; this recovery point does not count. Read its findings, use the last proven one.',
  },
  SCHEDULE_UNKNOWN: { retryable: false, hint: 'List them with `muster schedules`.' },
  SETUP_FAILED: { retryable: false, hint: 'Follow what the message says and run the command again.' },
  SANDBOX_NOT_RUNNING: { retryable: false, hint: 'Start it with `npx muster up`.' },
  SANDBOX_RUNNING: { retryable: false, hint: 'End it with `npx muster down`, or use it as it is.' },
  INTERNAL: {
    retryable: false,
    hint: 'This is a bug in Muster: please report it with this message, and the run id where there is one.',
  },
} as const satisfies Record<string, { retryable: boolean; hint: string }>;

export type ErrorCode = keyof typeof errorCatalogue;

/** The one exception type at the edges. Message: lower case, names the thing and the place, carries no secret. */
export class MusterError extends Error {
  override readonly name = 'MusterError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
  get retryable(): boolean {
    return errorCatalogue[this.code].retryable;
  }
  get hint(): string {
    return errorCatalogue[this.code].hint;
  }
}

/** Turns anything thrown into an operator's error; what nobody foresaw is `INTERNAL`. */
export function toMusterError(err: unknown, fallback: ErrorCode = 'INTERNAL'): MusterError {
  if (err instanceof MusterError) return err;
  return new MusterError(fallback, err instanceof Error ? err.message || err.name : String(err), { cause: err });
}
