/** What the shell gives an activity of protection besides its order. */
export interface ProtectionContext {
  /** Aborted when the workflow was cancelled, the worker shuts down or the attempt has lost its turn. */
  signal: AbortSignal;
  /** Id of the workflow run that ordered it: the same for every attempt. */
  runId: string;
  /** How far it is: shown to people, and given to the next attempt. Plain JSON; cheap, may be called often. */
  heartbeat(progress: unknown): void;
  /** What the attempt before told last; undefined in the first. */
  before: unknown;
  log(message: string, fields?: Record<string, unknown>): void;
  /** An existing directory for what need not outlive the activity, on a disk with room for what is restored. */
  scratchDir: string;
  /** An existing directory for what must outlive the process (ledgers of copies, spools of WAL). */
  stateDir: string;
}
