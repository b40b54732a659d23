/**
 * HTTP between the control plane, the site agents and the guards. JSON bodies, bearer token, short deadlines on every
 * call. A granter is a small state machine {epoch, holder, stopped} per service; the control plane's worker and every
 * site's agent run one. A guard asks the control plane first and the other site's agent when that is away.
 */

/** `POST /v1/lease`: a guard asks for (or renews) the writer's lease. */
export interface LeaseRequest {
  service: string;
  site: string;
  /** Epoch the guard believes it holds; a granter answers only when it is the current one. */
  epoch: number;
}
export type LeaseAnswer =
  /** The guard counts `ttlMs` from the moment it SENT the request, the granter from the moment it received it: the granter's end is never the earlier. */
  | { kind: 'granted'; epoch: number; ttlMs: number }
  /** HTTP 409. `holder` is null when the granter knows nobody yet. */
  | { kind: 'refused'; epoch: number; holder: string | null; why: 'other-holder' | 'stale-epoch' | 'stopped' | 'unknown-service' };

/** `POST /v1/stop-granting`: no lease below or at `throughEpoch` is granted any more. Persisted before it is answered. */
export interface StopGrantingRequest {
  service: string;
  /** Every epoch <= this is over. */
  throughEpoch: number;
  by: string;
}
/** End of the last grant, as milliseconds from the moment of answering on the granter's own monotonic clock; 0 = none is running. */
export interface StopGrantingAnswer {
  kind: 'stopped';
  throughEpoch: number;
  remainingMs: number;
}

/** `PUT /v1/epoch`: names the holder of a new epoch. Refused (409) unless higher than all seen, or the same epoch and holder again. */
export interface EpochRequest {
  service: string;
  epoch: number;
  holder: string;
}
export interface GranterState {
  service: string;
  epoch: number;
  holder: string | null;
  /** Highest epoch that was stopped. */
  stoppedThrough: number;
  remainingMs: number;
}

/** `GET /v1/state`: granter and guards of this process, and what it sees of the other sites. */
export interface AgentState {
  site: string;
  granters: GranterState[];
  guards: GuardState[];
  vantage: VantageView[];
}

export interface GuardState {
  service: string;
  resource: string;
  epoch: number;
  /** `standby`: the database follows another and needs no lease. */
  state: 'open' | 'closed' | 'stopped' | 'standby' | 'down';
  /** Milliseconds the lease still runs, 0 when none is held. */
  leaseRemainingMs: number;
  why: string;
}

/** `POST /v1/guard/close`: close the database now and read it back (sessions ended, read-only; with `stop` the server is ended cleanly too). */
export interface CloseRequest {
  service: string;
  /** Epochs <= this may never open here again without a new grant. */
  throughEpoch: number;
  stop: boolean;
}
export interface CloseAnswer {
  kind: 'closed';
  state: GuardState['state'];
  /** Last WAL position written, e.g. `0/3000148`; null when it cannot be read. */
  finalLsn: string | null;
}

/** How one vantage point sees one service's writer, newest sample last judged. */
export interface VantageView {
  /** Name of the site that looks, or `control`. */
  from: string;
  service: string;
  site: string;
  up: boolean;
  /** Milliseconds since the last good probe STARTED, by the observer's monotonic clock; 0 while up. */
  downForMs: number;
  failures: number;
  why: string;
}
