import { genesisHash, linkRecords, sealHash, type ChainExport, type LedgerRecord } from '../../worker/ledger/chain.ts';
import type { FinalState, RunOpened } from '../../worker/ledger/types.ts';
import type { Plan } from '../../workflows/engine/plan.ts';
import type { Run } from '../../workflows/engine/run.ts';

export const estateHash = 'e'.repeat(64);

export function samplePlan(change: Partial<Plan> = {}): Plan {
  return {
    version: 1,
    kind: 'failover',
    service: 'shop',
    from: 'hangzhou',
    to: 'beijing',
    mode: 'ungraceful',
    epoch: 2,
    drill: false,
    leaseMs: 2_000,
    objectives: { rpoSeconds: 5, rtoSeconds: 30 },
    level: '5',
    sites: {
      hangzhou: { name: 'hangzhou', agentUrl: 'env:HANGZHOU_AGENT', region: 'cn-hangzhou' },
      beijing: { name: 'beijing', agentUrl: 'env:BEIJING_AGENT', region: 'cn-beijing' },
    },
    resources: [{ name: 'orders', driver: 'postgres', sites: {}, shared: { tables: ['orders'] } }],
    steps: [],
    hash: 'a'.repeat(64),
    ...change,
  };
}

export function opened(runId: string, change: Partial<RunOpened> = {}): RunOpened {
  return { runId, plan: samplePlan(), estateHash, software: 'muster 0.1.0', openedAtMs: 1_800_000_000_000, ...change };
}

/** `count` records as the engine numbers them, with the kinds of content that are easy to spoil on the way. */
export function sampleRecords(count: number, fromSeq = 1): LedgerRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    seq: fromSeq + index,
    atMs: 1_800_000_000_000 + index * 12.5,
    what: index === 0 ? 'run-started' : 'step-read-back',
    stepId: index === 0 ? null : `observe-orders-${index}`,
    data: {
      b: 'zweiter – 第二',
      a: { y: [1, 2.5, -0.001, 1e21], x: null },
      nul: 'a\u0000b',
      half: '\ud83d',
      count: index,
    },
  }));
}

export function endedRun(runId: string, seq: number, change: Partial<Run> = {}): Run {
  return { ...finalState(runId, seq), plan: samplePlan(), ...change };
}

function finalState(runId: string, seq: number): FinalState {
  return {
    id: runId,
    status: 'finished',
    mode: 'ungraceful',
    steps: {},
    clocks: { fault: 1_800_000_000_000, started: 1_800_000_002_000 },
    measurements: [],
    outcome: 'unprotected',
    reason: null,
    pastNoReturn: true,
    waitedForPeopleMs: 0,
    waitingSinceMs: null,
    seq,
  };
}

/** A sealed run as `exportChain` would give it, made without a database. */
export function sealedExport(count: number): ChainExport {
  const runId = 'failover-shop-1';
  const plan = samplePlan();
  const events = linkRecords(runId, { seq: 0, hash: genesisHash(runId, plan, estateHash) }, sampleRecords(count));
  const last = events[events.length - 1];
  if (last === undefined) throw new RangeError('a run has events');
  const head = { seq: last.seq, hash: last.hash };
  const final = finalState(runId, count);
  return { version: 1, runId, plan, estateHash, events, head, final, sealHash: sealHash(head.hash, final) };
}
