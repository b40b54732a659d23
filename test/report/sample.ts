/** The game day `slow-link` as a report would see it: a fault, a failover, the old site's return, and the way home. */
import type { ClientSecond, ConflictSet, ReportInput, ReportRunInput, TruthRow } from '../../console/report/input.ts';
import { compile } from '../../runbooks/compile.ts';
import { parseEstate } from '../../runbooks/estate.ts';
import type { Measurement } from '../../workflows/engine/measure.ts';
import type { JsonObject, Mode, Plan, RunKind } from '../../workflows/engine/plan.ts';
import { testCatalogue } from '../support/catalogue.ts';
import { play, type Answer, type Play } from './play.ts';

const estateText = `
version: 1
control: { url: env:MUSTER_CONTROL_URL, token: env:MUSTER_AGENT_TOKEN }
sites:
  hangzhou: { region: cn-hangzhou, agent: env:MUSTER_HANGZHOU_AGENT_URL }
  beijing: { region: cn-beijing, agent: env:MUSTER_BEIJING_AGENT_URL }
services:
  shop:
    primary: hangzhou
    standby: beijing
    objectives: { rpoSeconds: 5, rtoSeconds: 30 }
    level: '5'
    policy: { declare: automatic, holdSeconds: 2, leaseSeconds: 2, probeSeconds: 0.2 }
    resources:
      orders:
        driver: postgres
        tables: [orders]
        hangzhou: { url: env:MUSTER_HANGZHOU_ORDERS_URL }
        beijing: { url: env:MUSTER_BEIJING_ORDERS_URL }
      entry:
        driver: proxy
        after: [orders]
        admin: env:MUSTER_ENTRY_ADMIN_URL
        token: env:MUSTER_ENTRY_TOKEN
        hangzhou: { upstream: env:MUSTER_HANGZHOU_SHOP_URL }
        beijing: { upstream: env:MUSTER_BEIJING_SHOP_URL }
`;

/** 2026-11-20 09:14:20 UTC: the fault. */
export const faultAtMs = Date.UTC(2026, 10, 20, 9, 14, 20);

export interface PlanAsked {
  kind: RunKind;
  mode: Mode;
  epoch: number;
  from?: string;
  to?: string;
  /** Changes to the estate's text, e.g. to ask a person for the commit. */
  edit?: (text: string) => string;
}

export function planOf({ edit = (text) => text, ...asked }: PlanAsked): Plan {
  const estate = parseEstate(edit(estateText), 'muster.yaml', testCatalogue);
  return compile({ estate, service: 'shop', catalogue: testCatalogue, ...asked });
}

export function figure(name: string, method: string, value: number | null, unit = 's'): Measurement {
  return { name, resource: 'orders', value, unit, method, confidence: value === null ? 'unknown' : 'measured' };
}

export function done(afterMs: number, evidence: JsonObject = {}, measurements: Measurement[] = []): Answer {
  return { kind: 'done', afterMs, evidence, measurements };
}

export const failover: Play = {
  runId: 'failover-shop-20261120-091422-4f2a',
  plan: planOf({ kind: 'failover', mode: 'ungraceful', epoch: 2 }),
  startAtMs: faultAtMs + 2_294,
  clocks: { fault: faultAtMs, detected: faultAtMs + 231, declared: faultAtMs + 2_262 },
  scenario: 'slow-link',
  chainId: 'game-day-slow-link-1',
  world: {
    'check-orders': () =>
      done(64, { standby: 'streaming lost', timeline: 1, replayLsn: '0/5A1F3D8' }, [
        figure('rpoSeconds', 'canary', 1.482),
        figure('rpoSeconds', 'lsn', 0.611),
      ]),
    'check-entry': () => done(18, { route: 'hangzhou', healthy: 'beijing' }),
    'quiesce-entry': () => done(22, { mode: 'hold', epoch: 2, held: 20 }),
    'fence-orders': () =>
      done(388, { granters: ['control', 'beijing'], leaseRanOut: true, waitedMs: 341, oldPrimary: 'does not answer' }),
    'observe-orders': () =>
      done(47, { recoveredLsn: '0/5A1F3D8', newestCanary: 'seq 8812', frozen: true }, [
        figure('rpoSeconds', 'canary', 1.482),
        figure('rpoSeconds', 'lsn', 0.611),
        figure('rpoSeconds', 'reply-age', 0.704),
        figure('lagBytes', 'lsn', 131_072, 'bytes'),
      ]),
    'promote-orders': () => done(236, { timeline: 2, promotedAtLsn: '0/5A1F3D8', epoch: 2, writable: true }),
    'route-entry': () => done(31, { route: 'beijing', weight: 100, released: 20, epoch: 2 }),
    'verify-orders': () => done(28, { wrote: 'canary seq 8813', read: 'same' }),
    'verify-entry': () =>
      done(94, { clients: 20, acknowledged: 41 }, [
        { ...figure('clientsMoved', 'clients', 20, 'clients'), resource: 'entry' },
      ]),
  },
};

export const reprotect: Play = {
  runId: 'reprotect-shop-20261120-091448-91c0',
  plan: planOf({ kind: 'reprotect', mode: 'graceful', epoch: 2, from: 'beijing', to: 'hangzhou' }),
  startAtMs: faultAtMs + 28_400,
  scenario: 'slow-link',
  chainId: 'game-day-slow-link-1',
  world: {
    'check-orders': () => done(52, { writer: 'beijing', timeline: 2 }),
    'fence-orders': () => done(143, { returning: 'hangzhou', state: 'closed', lease: 'refused: stale-epoch' }),
    'backup-orders': () =>
      done(612, { file: 'conflicts/orders.jsonl', rows: 94, from: '0/5A1F3D8' }, [
        figure('divergedRows', 'count', 94, 'rows'),
      ]),
    'rejoin-orders': (attempt) =>
      attempt === 1
        ? { kind: 'failed', afterMs: 402, message: 'rejoin orders at hangzhou: the server was still shutting down' }
        : done(1_286, { method: 'rewind', copied: '48.3 MiB', timeline: 2 }, [figure('rejoinSeconds', 'clock', 1.286)]),
    'replicate-orders': () =>
      done(730, { state: 'streaming', slot: 'muster_hangzhou' }, [
        figure('lagSeconds', 'canary', 0.21),
        figure('lagBytes', 'lsn', 0, 'bytes'),
      ]),
  },
};

export const failback: Play = {
  runId: 'failback-shop-20261120-091510-0be7',
  plan: planOf({
    kind: 'failback',
    mode: 'graceful',
    epoch: 3,
    from: 'beijing',
    to: 'hangzhou',
    edit: (text) => text.replace('probeSeconds: 0.2', 'probeSeconds: 0.2, commit: ask'),
  }),
  startAtMs: faultAtMs + 50_100,
  scenario: 'slow-link',
  chainId: 'game-day-slow-link-1',
  people: { commit: { afterMs: 6_240, by: 'Li Wei', why: 'orders and entry look right at hangzhou' } },
  world: {
    'check-orders': () =>
      done(58, { standby: 'streaming' }, [figure('rpoSeconds', 'canary', 0.2), figure('rpoSeconds', 'lsn', 0)]),
    'check-entry': () => done(15, { route: 'beijing' }),
    'observe-orders-lag': () =>
      done(212, { checkpoint: 'done' }, [figure('rpoSeconds', 'canary', 0.18), figure('rpoSeconds', 'lsn', 0)]),
    'quiesce-entry': () => done(19, { mode: 'hold', epoch: 3 }),
    'fence-orders': () => done(121, { finalLsn: '0/6B33A20', stopped: 'beijing', demotionToken: '2/0/6B33A20' }),
    'observe-orders': () =>
      done(24, { recoveredLsn: '0/6B33A20', finalLsn: '0/6B33A20' }, [
        figure('rpoSeconds', 'canary', 0),
        figure('rpoSeconds', 'lsn', 0),
      ]),
    'promote-orders': () => done(98, { timeline: 3, epoch: 3 }),
    'route-entry': () => done(24, { route: 'hangzhou', epoch: 3 }),
    'verify-orders': () => done(22, { wrote: 'canary seq 8861' }),
    'verify-entry': () => done(81, { clients: 20, acknowledged: 37 }),
    'rejoin-orders': () =>
      done(684, { method: 'standby.signal', rewind: 'not needed' }, [figure('rejoinSeconds', 'clock', 0.684)]),
    'replicate-orders': () => done(540, { state: 'streaming' }, [figure('lagSeconds', 'canary', 0.12)]),
  },
};

/** 94 orders that hangzhou acknowledged in its last half second and that never reached beijing. */
export const lostOrders: TruthRow[] = Array.from({ length: 94 }, (_, index) => ({
  table: 'orders',
  key: orderId(index),
  ackedAtMs: faultAtMs - 518 + Math.floor(index * 5.4),
  site: 'hangzhou',
}));

function orderId(index: number): string {
  const hex = (Math.imul(index + 7, 2_654_435_761) >>> 0).toString(16).padStart(8, '0');
  return `${hex}-${hex.slice(2, 6)}-7${hex.slice(1, 4)}-b${hex.slice(4, 7)}-${hex}${hex.slice(0, 4)}`;
}

export const conflictSet: ConflictSet = {
  resource: 'orders',
  file: 'conflicts/orders.jsonl',
  sha256: '9b0f3a5c1d7e2f48a6b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9',
  rows: lostOrders.map(({ table, key, ackedAtMs }) => ({ table, key, row: { id: key }, whenMs: ackedAtMs - 2 })),
};

/** About 190 writes a second, steady; none while the writer is away. */
export function clientSeconds(): ClientSecond[] {
  const startMs = faultAtMs - 20_000;
  return Array.from({ length: 92 }, (_, at): ClientSecond[] => {
    const atMs = startMs + at * 1000;
    const second = (site: string, acked: number): ClientSecond => ({ atMs, site, acked, failed: 0 });
    const steady = 188 + Math.round(9 * Math.sin(at * 1.7) + 5 * Math.sin(at * 0.31));
    const sinceFault = at - 20;
    if (sinceFault < 0) return [second('hangzhou', steady)];
    if (sinceFault < 3) return [{ atMs, site: null, acked: 0, failed: sinceFault === 0 ? 20 : 6 }];
    if (sinceFault === 3) return [second('beijing', 168)];
    if (sinceFault < 50) return [second('beijing', steady)];
    if (sinceFault === 50) return [second('beijing', 96), second('hangzhou', 34)];
    return [second('hangzhou', steady)];
  }).flat();
}

export function sampleRuns(): { failover: ReportRunInput; reprotect: ReportRunInput; failback: ReportRunInput } {
  const common = { ackedByOldAfterPromotion: [], twoWritersMs: 0 };
  return {
    failover: {
      ...play(failover),
      writeGap: { lastAckBeforeMs: faultAtMs - 9, firstAckAfterMs: faultAtMs + 3_061 },
      truth: { ...common, acknowledged: 3_946, lost: lostOrders },
    },
    reprotect: {
      ...play(reprotect),
      conflictSets: [conflictSet],
      findings: [
        {
          service: 'shop',
          runId: reprotect.runId,
          stepId: 'rejoin-orders',
          severity: 'note',
          what: 'The first rejoin found the old server still shutting down; the second one succeeded.',
          atMs: reprotect.startAtMs + 1_300,
        },
      ],
    },
    failback: {
      ...play(failback),
      writeGap: { lastAckBeforeMs: faultAtMs + 50_418, firstAckAfterMs: faultAtMs + 50_731 },
      truth: { ...common, acknowledged: 16_680, lost: [] },
    },
  };
}

export function sampleInput(): ReportInput {
  const { failover: first, reprotect: second, failback: third } = sampleRuns();
  const epoch = (number: number, holder: string, runId: string | null, takenAtMs: number) => ({
    service: 'shop',
    epoch: number,
    holder,
    runId,
    takenAtMs,
  });
  return {
    generatedAtMs: faultAtMs + 74_000,
    software: 'muster 0.1.0',
    runs: [first, second, third],
    epochs: [
      epoch(1, 'hangzhou', null, faultAtMs - 3_600_000),
      epoch(2, 'beijing', failover.runId, failover.startAtMs + 20),
      epoch(3, 'hangzhou', failback.runId, failback.startAtMs + 300),
    ],
    clients: clientSeconds(),
  };
}
