import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { type Entry } from '../compare/pages.ts';
import { createRun, type Run } from '../run/begin-run.ts';
import { usualDeleteShare } from '../run/delete-guard.ts';
import { type ObjectEvent, type PassInput } from '../run/pass.ts';
import { type Settler } from '../run/settler.ts';
import { type Agreement, createRecorder, type HeldState, type Recorder } from './agreement.ts';
import {
  noPairCounts,
  type PairCounts,
  type PairEvent,
  type PairInput,
  type PairLedgers,
  type Way,
  ways,
} from './pair.ts';

/** A two-way pass under way: a run each direction, which list nothing by themselves. */
export interface PairSession extends AsyncDisposable {
  input: PairInput;
  ledgers: PairLedgers;
  runs: Record<Way, Run>;
  recorder: Recorder;
  /** Those of the runs are in them. */
  counts: PairCounts;
  /** Whoever calls waits for a store that does not answer; else that is a failure of the object. */
  patient: boolean;
  tell(event: PairEvent): void;
  tellObject(way: Way, event: ObjectEvent): void;
  /** Ends both directions; the first failure counts. */
  fail(err: unknown): void;
}

export function openPairSession(input: PairInput): PairSession {
  const { ledgers, cursor } = input;
  const recorder = createRecorder(ledgers);
  const counts = cursor === undefined ? noPairCounts() : structuredClone(cursor.counts);
  const tellObject = (way: Way, event: ObjectEvent): void => input.onEvent?.({ kind: 'object', way, event });
  const open = (way: Way): Run => {
    const run = createRun({
      ...runInput(input, way),
      onObject: (event) => {
        // What stood in the way is looked at again, and told then.
        if (event.kind !== 'outcome' || event.outcome.kind !== 'kept') tellObject(way, event);
      },
    });
    run.work.settler = pairSettler(input, way, recorder);
    counts[way] = run.counts;
    return run;
  };
  const runs = { aToB: open('aToB'), bToA: open('bToA') };
  return {
    ...{ input, ledgers, runs, recorder, counts, tellObject, patient: false },
    tell: (event) => input.onEvent?.(event),
    fail(err) {
      for (const way of ways) runs[way].fail(err);
    },
    async [Symbol.asyncDispose]() {
      for (const way of ways) await runs[way][Symbol.asyncDispose]();
    },
  };
}

function runInput({ a, b, rule, ledgers, cursor, workDirectory, signal }: PairInput, way: Way): PassInput {
  const directory = workDirectory === undefined ? undefined : path.join(workDirectory, way);
  if (directory !== undefined) mkdirSync(directory, { recursive: true });
  const origin = way === 'aToB' ? rule.names.a : rule.names.b;
  return {
    ...(way === 'aToB' ? { source: a, target: b } : { source: b, target: a }),
    rule: {
      ...rule.pass,
      deleteShare: rule.pass.deleteShare ?? usualDeleteShare,
      copy: { ...rule.pass.copy, overwrite: 'known', origin },
    },
    ledger: ledgers[way],
    ...(cursor === undefined ? {} : { cursor: { ...cursor, counts: cursor.counts[way] } }),
    ...(directory === undefined ? {} : { workDirectory: directory }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** A copy that was proved is an agreement, known to both ledgers; anything else concerns its own direction. */
function pairSettler({ ledgers }: PairInput, way: Way, recorder: Recorder): Settler {
  return {
    settle(outcome) {
      const { key, state, sourceEtag, targetEtag = '', sizeBytes = 0, writtenAtMs = 0, checksums, errorCode } = outcome;
      if (state !== 'verified') {
        // Somebody wrote meanwhile: it stays pending, and is looked at again.
        return errorCode === 'OBJECT_CHANGED' ? Promise.resolve() : ledgers[way].settle([outcome]);
      }
      if (sourceEtag === '' || targetEtag === '') return Promise.resolve();
      const source: HeldState = { etag: sourceEtag, sizeBytes, writtenAtMs };
      // The target's clock told nothing: this machine's stands for it until a listing does.
      const target: HeldState = { etag: targetEtag, sizeBytes, writtenAtMs: Date.now() };
      const sides = way === 'aToB' ? { a: source, b: target } : { a: target, b: source };
      const agreement: Agreement = { key, ...sides, ...(checksums === undefined ? {} : { checksums }) };
      return recorder.agree(agreement);
    },
    crowded: true,
  };
}

/** Whether the filter means a key: by its name, and by what either side has of it. */
export function isMeant({ runs }: PairSession, key: string, ...present: (Entry | undefined)[]): boolean {
  const { filter } = runs.aToB;
  return filter.named(key) && present.every((entry) => entry === undefined || filter.sized(entry));
}
