import type { Granter } from '../../activities/guard/granter-store.ts';
import type { Estate } from '../../runbooks/estate.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { PastDeclarations } from '../past-declarations.ts';
import type { TemporalPlace } from '../temporal.ts';
import type { Verdict } from './detect.ts';

/** What the parts of the watch share. */
export interface WatchOptions {
  estate: Estate;
  granter: Granter;
  ledger: Ledger;
  metrics: Metrics;
  log: Log;
  place: TemporalPlace;
  scenario: string | null;
  declarations: PastDeclarations;
}

/** What the watch thinks of one service, and since when. Times are Unix milliseconds. */
export interface ServiceWatch {
  service: string;
  holder: string;
  verdict: Verdict;
  /** Start of the last good look before the outage: the earliest it can have begun. */
  faultAtMs: number | null;
  detectedAtMs: number | null;
}
