/** What a guard needs of the database beside it; `activities/drivers/postgres` provides it, tests use a fake. */
export interface GuardedDatabase {
  /** `primary` says what the server believes of itself, not that it may write. `down`: a server process that does not answer. */
  role(): Promise<'primary' | 'standby' | 'stopped' | 'down'>;
  /**
   * Opens for writing under the lease. Read back before it resolves. The end it writes is the earlier of `endsAtUnixMs`
   * (safe when this process is paused between here and the server) and server time + `remainingMs`.
   */
  open(lease: HeldLease): Promise<void>;
  /**
   * Writes the lease's new end where the database itself checks it. Cheap: called a few times a second. Fails when the
   * server is not open (e.g. it restarted in between), so that the guard opens it again.
   */
  renew(lease: HeldLease): Promise<void>;
  /**
   * No more writes: lease ended in the database, read-only by default, every other session ended (those of an earlier
   * life of this guard too, so that no late `open` of theirs comes after it). Read back before it resolves.
   */
  close(): Promise<{ finalLsn: string | null }>;
  /**
   * Ends the server, cleanly when it can within `limitMs`, at once otherwise; 0 = at once, nothing else closed it in
   * time. Read back before it resolves.
   */
  stop(limitMs?: number): Promise<void>;
  /** Starts the server closed for writing. */
  start(): Promise<void>;
}

export interface HeldLease {
  epoch: number;
  /** How long the lease still runs, milliseconds from now. */
  remainingMs: number;
  /** The same end by this host's wall clock, Unix milliseconds. */
  endsAtUnixMs?: number;
}
