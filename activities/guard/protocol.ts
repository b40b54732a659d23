/**
 * HTTP between the control plane, the site agents and the guards. JSON bodies, bearer token, short deadlines on every
 * call. A granter is a small state machine {epoch, holder, stopped} per service; the control plane's worker and every
 * site's agent run one. A guard asks the control plane first and the other site's agent when that is away.
 */

/** `POST /v1/lease`: a guard asks for (or renews) the writer's lease. */
export interface LeaseRequest {
  service: string;
  site: string;
  /**
   * Epoch the guard believes it holds; a granter grants only when it is the current one. 0 asks for nothing but the
   * current epoch: it is always refused.
   */
  epoch: number;
}
export type LeaseAnswer =
  /** The guard counts `ttlMs` from the moment it SENT the request, the granter from the moment it received it: the granter's end is never the earlier. */
  | { kind: 'granted'; epoch: number; ttlMs: number }
  /** HTTP 409. `holder` is null when the granter knows nobody yet. */
  | {
      kind: 'refused';
      epoch: number;
      holder: string | null;
      /** `own-site`: a granter never grants to the site it runs at; it would prove nothing about the world outside. */
      why: 'other-holder' | 'stale-epoch' | 'stopped' | 'unknown-service' | 'own-site';
    };

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

/** Body of every answer that is not 2xx and not a LeaseAnswer. */
export interface ErrorBody {
  error: string;
  /** Code of the catalogue in `workflows/engine/errors.ts`, when one fits. */
  code?: string;
}

/** `POST /v1/guard/close`: close the database now and read it back (sessions ended, read-only; with `stop` the server is ended cleanly too). */
export interface CloseRequest {
  service: string;
  /** Epochs <= this may never open here again without a new grant. Below the epoch held here: refused (409), the order is stale. */
  throughEpoch: number;
  stop: boolean;
  /** Only this resource of the service; without it every guarded one. */
  resource?: string;
}
export interface CloseAnswer {
  kind: 'closed';
  /** `closed`, `stopped` or `standby`; the least closed one when several resources were closed. */
  state: GuardState['state'];
  /** Last WAL position written, e.g. `0/3000148`; null when it cannot be read, or when several resources were closed. */
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
  /** Milliseconds since the first failed probe of this outage STARTED, by the same clock; 0 while up, absent when unknown. */
  failedForMs?: number;
  failures: number;
  why: string;
}
