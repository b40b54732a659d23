import type { Client } from '@temporalio/client';
import { Gauge, type Registry } from 'prom-client';
import type { Estate } from '../runbooks/estate.ts';
import { readCopy } from './copies.ts';
import { copyFigures, endedCopies, type CopyFigures, type EndedCopies } from './copy-figures.ts';
import { every, type Repeating } from './every.ts';
import type { Ledger } from './ledger/ledger.ts';
import { inTurns } from './schedules/read.ts';

const lookEveryMs = 10_000;
/** So many of the newest runs of a copy are looked at. */
const looked = 1_000;

export interface CopyWatchDeps {
  estate: Pick<Estate, 'copies'>;
  registry: Registry;
  ledger: Pick<Ledger, 'protectionRuns'>;
  client: () => Promise<Client>;
}

/** Exports how far the long copies of the estate are. A figure that is not known is absent, never 0. */
export function watchCopies(deps: CopyWatchDeps): Repeating[] {
  if (Object.keys(deps.estate.copies).length === 0) return [];
  const { now, ended } = copyLooks(deps);
  return [every(lookEveryMs, now), every(lookEveryMs, ended)];
}

/** One look at those under way and one at those that have ended; what cannot be asked leaves no figure of before. */
export function copyLooks({ estate, registry, ledger, client }: CopyWatchDeps): {
  now: () => Promise<void>;
  ended: () => Promise<void>;
} {
  const names = Object.keys(estate.copies);
  const ofNow = runningGauges(registry);
  const ofEnded = endedGauges(registry);
  return {
    now: () =>
      orNothing(Object.values(ofNow), async () => {
        const temporal = await client();
        const all = await inTurns(names, async (name) => copyFigures(await readCopy(temporal, name)));
        for (const [i, figures] of all.entries()) showRunning(ofNow, names[i] ?? '', figures);
      }),
    ended: () =>
      orNothing(Object.values(ofEnded), async () => {
        for (const name of names) {
          const runs = await ledger.protectionRuns({ kind: 'copy', resource: name, limit: looked });
          showEnded(ofEnded, name, endedCopies(runs));
        }
      }),
  };
}

async function orNothing(gauges: readonly Gauge[], look: () => Promise<void>): Promise<void> {
  try {
    await look();
  } catch (err) {
    for (const gauge of gauges) gauge.reset();
    throw err;
  }
}

type Gauges<Names> = Record<keyof Names, Gauge>;

function createGauges<Names extends Record<string, [name: string, help: string]>>(
  registry: Registry,
  names: Names,
): Gauges<Names> {
  const gauges = Object.entries(names).map(([key, [name, help]]) => {
    return [key, new Gauge({ name: `dr_copy_${name}`, help, labelNames: ['copy'], registers: [registry] })];
  });
  return Object.fromEntries(gauges) as Gauges<Names>;
}

function runningGauges(registry: Registry): Gauges<CopyFigures> {
  return createGauges(registry, {
    running: ['running', '1 while the copy is under way, paused or not'],
    paused: ['paused', '1 while it is paused'],
    doneObjects: ['done_objects', 'Objects copied by the run under way'],
    doneBytes: ['done_bytes', 'Bytes copied by the run under way'],
    totalObjects: ['total_objects', 'The same when the rule under way is done'],
    totalBytes: ['total_bytes', 'The same in bytes'],
    left: ['left_objects', 'Objects the run under way left out: kept, archived, still changing'],
    failed: ['failed_objects', 'Objects that failed in the run under way'],
    objectsPerSecond: ['objects_per_second', 'Rate now, of objects'],
    bytesPerSecond: ['bytes_per_second', 'Rate now, of bytes'],
    etaSeconds: ['eta_seconds', 'Until the rule under way is done'],
  });
}

function endedGauges(registry: Registry): Gauges<EndedCopies> {
  return createGauges(registry, {
    lastSuccessMs: ['last_success_timestamp_seconds', 'When a run last ended with nothing left out'],
    endedMs: ['last_end_timestamp_seconds', 'When the newest run ended, however it did'],
    left: ['last_left_objects', 'Objects the newest run that ended left out: kept, archived, still changing'],
    failed: ['last_failed_objects', 'Objects that failed in the newest run that ended'],
    incomplete: ['last_incomplete', '1 when the newest run that ended left something out, or was stopped'],
  });
}

function showRunning(gauges: Gauges<CopyFigures>, copy: string, figures: CopyFigures): void {
  for (const key of Object.keys(gauges) as (keyof CopyFigures)[]) set(gauges[key], copy, figures[key]);
}

function showEnded(gauges: Gauges<EndedCopies>, copy: string, ended: EndedCopies): void {
  const { lastSuccessMs, endedMs, left, failed, incomplete } = ended;
  set(gauges.lastSuccessMs, copy, lastSuccessMs === null ? null : lastSuccessMs / 1_000);
  set(gauges.endedMs, copy, endedMs === null ? null : endedMs / 1_000);
  set(gauges.left, copy, left);
  set(gauges.failed, copy, failed);
  set(gauges.incomplete, copy, incomplete);
}

function set(gauge: Gauge, copy: string, value: number | boolean | null): void {
  if (value === null) gauge.remove({ copy });
  else gauge.set({ copy }, Number(value));
}
