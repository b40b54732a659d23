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
  SETUP_FAILED: { retryable: false, hint: 'Follow what the message says and run the command again.' },
  SANDBOX_NOT_RUNNING: { retryable: false, hint: 'Start it with `npx muster up`.' },
  SANDBOX_RUNNING: { retryable: false, hint: 'End it with `npx muster down`, or use it as it is.' },
  INTERNAL: { retryable: false, hint: 'This is a bug in Muster: please report it with the run id.' },
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
