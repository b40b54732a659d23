import { type Comparing } from '../compare/compare.ts';
import { type CopySetup } from '../copy/ports.ts';
import { type Side } from '../side.ts';
import { type CredentialsWatch, watchCredentials } from './credentials-watch.ts';
import { type DoomedList, openDoomedList } from './doomed.ts';
import { compileFilter, type Filter } from './filter.ts';
import { createGate, type Gate } from './gate.ts';
import { type Governor, governClient } from './governed-client.ts';
import { createLanes, type Lanes } from './lanes.ts';
import { createLimiter } from './limiter.ts';
import { type PassInput, type PassRule } from './pass.ts';
import { type Counts, createMeter, etaMs, type Meter, noCounts, type Progress } from './progress.ts';
import { createSettler, type Settler } from './settler.ts';
import { rateAt, type Timetable } from './timetable.ts';
import { createUnderWay } from './under-way.ts';
import { type Work } from './work.ts';

/** A pass under way. */
export interface Run extends AsyncDisposable {
  input: PassInput;
  rule: PassRule;
  source: Side;
  target: Side;
  setup: CopySetup;
  work: Work;
  counts: Counts;
  meter: Meter;
  settler: Settler;
  filter: Filter;
  lanes: Lanes;
  gate: Gate;
  credentials: CredentialsWatch;
  doomed: DoomedList;
  /** Ends everything; `listing` only what is looked at next. */
  stop: AbortController;
  listing: AbortController;
  comparing: Comparing | undefined;
  startedAtMs: number;
  begunAtMs: number;
  listed: boolean;
  /** The piece is large enough. */
  enough: boolean;
  failure: Error | undefined;
  /** Batches whose objects are not all settled. */
  batches: Set<Promise<void>>;
  progress(): Progress;
  /** No new work; the first failure counts. */
  fail(err: unknown): void;
  isEnough(): boolean;
  /** Tells the ledger that the source was seen whole. */
  observe(): Promise<void>;
}

/** A part of this size takes the place of one; half as many of twice the size go at once. */
const largePartBytes = 64 * 1024 * 1024;

export function createRun(input: PassInput): Run {
  const { rule, cursor } = input;
  const stop = new AbortController();
  const signal = input.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, input.signal]);
  const listing = new AbortController();
  const gate = createGate();
  const credentials = watchCredentials({
    ...{ waitMs: rule.credentialsWaitMs, pollMs: Math.min(2_000, Math.max(50, rule.credentialsWaitMs / 20)), signal },
    onWait: () => {},
  });
  const governor: Governor = { refused: credentials.refused };
  if (rule.requests !== undefined) governor.requests = createLimiter(rateOf(rule.requests), signal);
  const source = { ...input.source, client: governClient(input.source.client, governor) };
  const target = { ...input.target, client: governClient(input.target.client, governor) };
  const partLanes = createLanes(rule.parallelParts);
  const meter = createMeter();
  const underWay = createUnderWay((bytes) => meter.add(0, bytes));
  const setup: CopySetup = {
    ...{ source, target, rule: rule.copy, signal, refused: new Set(), targetVersioned: true },
    parts: async (sizeBytes, work) => {
      const leave = await partLanes.take(Math.ceil(sizeBytes / largePartBytes));
      return work().finally(leave);
    },
    arrived: (key, bytes, since) => underWay.add(key, bytes, since),
    ...(input.ledger === undefined ? {} : { ledger: input.ledger }),
    ...(rule.bandwidth === undefined ? {} : { throttle: createLimiter(rateOf(rule.bandwidth), signal) }),
  };
  const counts = cursor === undefined ? noCounts() : { ...cursor.counts };
  const settler = createSettler(input.ledger);
  const tell: Work['tell'] = (event) => input.onObject?.(event);
  const work: Work = { setup, rule, counts, meter, underWay, settler, tell, unreachable: 0 };
  signal.addEventListener('abort', () => listing.abort(signal.reason));
  const run: Run = {
    ...{ input, rule, source, target, setup, work, counts, meter, settler, gate, credentials, stop, listing },
    ...{ comparing: undefined, listed: false, enough: false, failure: undefined, batches: new Set() },
    filter: compileFilter(rule.filter, Date.now()),
    lanes: createLanes(rule.transfers),
    doomed: openDoomedList(input.workDirectory),
    startedAtMs: performance.now(),
    begunAtMs: cursor?.begunAtMs ?? Date.now(),
    progress: () => ({
      counts: { ...counts },
      underWayBytes: underWay.bytes,
      elapsedMs: performance.now() - run.startedAtMs,
      rate: meter.rate(),
      etaMs: etaMs({ counts, underWayBytes: underWay.bytes }, meter.rate(), run.listed),
      listed: run.listed,
      paused: gate.why ?? (credentials.waitingFor === undefined ? undefined : `new keys for ${credentials.waitingFor}`),
    }),
    fail(err) {
      run.failure ??= err instanceof Error ? err : new Error(String(err));
      stop.abort(err);
    },
    isEnough: enoughFor(input, counts),
    async observe() {
      const before = await input.ledger?.observed();
      if (before?.by !== 'change-log') await input.ledger?.setObserved({ upToMs: run.begunAtMs, by: 'sweep' });
    },
    async [Symbol.asyncDispose]() {
      await run.doomed[Symbol.asyncDispose]();
    },
  };
  if (cursor === undefined) run.doomed.clear();
  return run;
}

function rateOf(timetable: Timetable): () => number | undefined {
  return () => rateAt(timetable, new Date());
}

function enoughFor({ until }: PassInput, counts: Counts): () => boolean {
  const startedAtMs = performance.now();
  const { copiedBytes } = counts;
  return () =>
    until !== undefined &&
    (counts.copiedBytes - copiedBytes >= (until.bytes ?? Infinity) ||
      performance.now() - startedAtMs >= (until.ms ?? Infinity));
}
