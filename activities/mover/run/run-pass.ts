import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { compareSides, type Comparing, type Visit } from '../compare/compare.ts';
import { type Entry } from '../compare/pages.ts';
import { type Joined } from '../compare/join.ts';
import { haveSameProperties } from '../copy/refresh-properties.ts';
import { wholeRange } from '../compare/ranges.ts';
import { type NotedWrite } from '../ledger/ledger.ts';
import { sideName } from '../side.ts';
import { createRun, type Run } from './begin-run.ts';
import { guardDeletes } from './delete-guard.ts';
import { deleteDoomed } from './deletes.ts';
import { checkVersioning, type PassCursor, type PassInput, type PassResult, type PassRun } from './pass.ts';
import { planBatch, type Step } from './plan-batch.ts';
import { resolveSameness } from './resolve.ts';
import { weightOf } from './lanes.ts';
import { carryOut, outcomeOf } from './work.ts';

/**
 * Brings a target to what a source holds: both are listed and joined, what differs is copied, what is too much is
 * deleted at the end when that was asked for. One pass, or a piece of it from a cursor.
 *
 * Runs on the caller's event loop, in slices: pages of at most a thousand keys, chunks of a socket's buffer. Only the
 * ledger's commits have a thread of their own. `finished` never rejects: what ends a pass is its result.
 */
export function runPass(input: PassInput): PassRun {
  const run = createRun(input);
  return {
    finished: finish(run),
    pause: () => run.gate.pause('paused'),
    resume: () => run.gate.resume(),
    progress: () => run.progress(),
    cursor: () => cursorOf(run),
  };
}

function cursorOf(run: Run): PassCursor {
  const ranges = run.comparing?.remaining() ?? run.input.cursor?.ranges ?? [wholeRange];
  return { ranges: structuredClone(ranges), begunAtMs: run.begunAtMs, counts: { ...run.counts } };
}

async function finish(run: Run): Promise<PassResult> {
  const ended = await perform(run).catch((err: unknown) => stoppedBy(run, err));
  await run[Symbol.asyncDispose]();
  return { ...ended, counts: { ...run.counts }, elapsedMs: performance.now() - run.startedAtMs };
}

type Ended =
  | { kind: 'complete' }
  | { kind: 'more'; cursor: PassCursor }
  | { kind: 'stopped'; code: (PassResult & { kind: 'stopped' })['code']; message: string; cursor: PassCursor };

function stoppedBy(run: Run, err: unknown): Ended {
  if (run.input.signal?.aborted === true)
    return { kind: 'stopped', code: 'ABORTED', message: 'ended from outside', cursor: cursorOf(run) };
  const { code, message } = toMusterError(err);
  return { kind: 'stopped', code, message, cursor: cursorOf(run) };
}

async function perform(run: Run): Promise<Ended> {
  const { input } = run;
  const frozen = await input.ledger?.frozen();
  if (frozen !== undefined) throw new MusterError('REPLICATION_FROZEN', `this replication was frozen: ${frozen.why}`);
  run.setup.targetVersioned = (await checkVersioning(run)).target;
  const beat = setInterval(() => input.onCheckpoint?.(cursorOf(run), run.progress()), input.checkpointMs ?? 5_000);
  try {
    run.comparing = compare(run);
    await run.comparing.finished;
    run.listed = true;
    await Promise.all(run.batches);
    if (run.failure !== undefined) throw run.failure;
    if (run.enough) return { kind: 'more', cursor: cursorOf(run) };
    await sweepDeletes(run);
    if (input.rule.mode === 'do') await run.observe();
    return { kind: 'complete' };
  } catch (err) {
    if (!run.enough && !run.stop.signal.aborted) run.stop.abort(err);
    await Promise.all(run.batches);
    if (run.enough && run.failure === undefined) return { kind: 'more', cursor: cursorOf(run) };
    throw run.failure ?? err;
  } finally {
    clearInterval(beat);
  }
}

function compare(run: Run): Comparing {
  const { rule, cursor } = run.input;
  return compareSides(
    {
      ...{ source: run.source, target: run.target, versions: rule.versions, parallel: rule.listers },
      ...(cursor === undefined ? {} : { ranges: cursor.ranges }),
      signal: run.listing.signal,
    },
    visit(run),
  );
}

function visit(run: Run): Visit {
  const { rule, ledger } = run.input;
  return async (batch, finishBatch) => {
    const rows = (await ledger?.lookUp(batch.map(({ key }) => ({ key, version: '' })))) ?? [];
    const adopts = ledger !== undefined && rule.mode === 'do';
    const { steps, same } = planBatch(batch, (_, i) => rows[i], { rule: { ...rule, adopts }, filter: run.filter });
    run.counts.same += same;
    countListed(run, batch);
    const writes = rule.mode === 'do' && ledger !== undefined ? steps.flatMap(notedBy) : [];
    if (writes.length > 0) await ledger!.note(writes);
    const work: Promise<void>[] = [];
    for (const step of steps) {
      const begun = await begin(run, step);
      if (begun !== undefined) work.push(begun.done);
    }
    await run.doomed.add(steps.flatMap(doomedBy));
    // The range goes on listing; its cursor waits until all of this is done.
    const settled = Promise.all(work).then(
      () => finishBatch(),
      () => {},
    );
    run.batches.add(settled);
    void settled.finally(() => run.batches.delete(settled));
    if (run.isEnough()) {
      run.enough = true;
      run.listing.abort(new Error('enough for this piece'));
    }
  };
}

function countListed({ counts }: Run, batch: readonly Joined<Entry>[]): void {
  for (const { source, target } of batch) {
    if (source !== undefined) counts.sourceObjects += 1;
    if (target !== undefined) counts.targetObjects += 1;
  }
}

function notedBy(step: Step): NotedWrite[] {
  if (step.kind === 'copy') {
    const { key, etag, writtenAtMs, sizeBytes } = step.task;
    return [{ key, version: '', op: 'put', writtenAtMs, sizeBytes, sourceEtag: etag }];
  }
  if (step.kind !== 'chain') return [];
  return step.tasks.map(({ key, versionId, etag, writtenAtMs, sizeBytes, deleteMarker }) => ({
    ...{ key, version: versionId ?? '', op: deleteMarker ? ('delete' as const) : ('put' as const) },
    ...{ writtenAtMs, sizeBytes, sourceEtag: etag },
  }));
}

function doomedBy(step: Step): { key: string; etag: string; sizeBytes: number }[] {
  return step.kind === 'extra' ? [{ key: step.key, etag: step.entry.etag, sizeBytes: step.entry.sizeBytes }] : [];
}

/** Work that goes on by itself. In an object, since a promise of a promise is one of its end. */
interface Begun {
  done: Promise<void>;
}

/** Waits for a lane, then works on its own; undefined when there is nothing to wait for at the end. */
async function begin(run: Run, step: Step): Promise<Begun | undefined> {
  const { counts, work, input } = run;
  switch (step.kind) {
    case 'same':
      counts.same += 1;
      return { done: adopt(run, step) };
    case 'extra':
      counts.onlyTarget += 1;
      counts.toDelete += 1;
      if (input.rule.mode === 'compare') work.tell(eventOf(step.key, step.entry.sizeBytes, 'only-target'));
      return undefined;
    case 'forked':
      counts.kept += 1;
      work.tell({
        ...{ key: step.key, version: '', sizeBytes: step.entry.sizeBytes, kind: 'outcome' },
        outcome: { kind: 'kept', why: 'foreign', targetEtag: '' },
      });
      return undefined;
    case 'copy':
    case 'chain':
      return inLane(run, step);
  }
}

function eventOf(
  key: string,
  sizeBytes: number,
  kind: 'only-source' | 'only-target' | 'different' | 'would-copy' | 'would-delete',
): { key: string; version: string; sizeBytes: number; kind: typeof kind } {
  return { key, version: '', sizeBytes, kind };
}

/** What two listings prove to be the same becomes a row: the ground that later changes are told from. */
function adopt({ settler }: Run, step: Step & { kind: 'same' }): Promise<void> {
  const { entry, target, proved } = step;
  return settler.settle({
    ...{ key: entry.key, version: '', op: 'put', state: proved ? 'verified' : 'copied', sourceEtag: entry.etag },
    ...{ writtenAtMs: entry.lastModifiedMs, sizeBytes: entry.sizeBytes, targetEtag: target.etag },
  });
}

async function inLane(run: Run, step: Step & { kind: 'copy' | 'chain' }): Promise<Begun> {
  const tasks = step.kind === 'copy' ? [step.task] : step.tasks;
  const sizeBytes = tasks.reduce((sum, task) => sum + task.sizeBytes, 0);
  const shut = run.gate.passed();
  if (shut !== undefined) await shut;
  run.stop.signal.throwIfAborted();
  const leave = await run.lanes.take(weightOf(Math.max(...tasks.map((task) => task.sizeBytes))));
  run.counts.wanted += tasks.length;
  run.counts.wantedBytes += sizeBytes;
  const done = workOn(run, step, sizeBytes, leave);
  done.catch(() => undefined); // asked for at the end of its batch
  return { done };
}

async function workOn(
  run: Run,
  step: Step & { kind: 'copy' | 'chain' },
  sizeBytes: number,
  leave: () => void,
): Promise<void> {
  try {
    if (run.input.rule.mode === 'do') await carryOut(run.work, step, leave);
    else await look(run, step, sizeBytes);
  } catch (err) {
    try {
      // An outcome of one object, or the end of all.
      const outcome = outcomeOf(err, run.credentials.gaveUp !== undefined);
      if (outcome.kind === 'gone') run.counts.gone += 1;
      else run.counts.failed += 1;
      const key = step.kind === 'copy' ? step.task.key : step.key;
      run.work.tell({ key, version: '', sizeBytes, kind: 'outcome', outcome });
    } catch (ending) {
      run.fail(ending);
      throw ending;
    }
  } finally {
    leave();
  }
}

/** Without doing anything: what is it about this key? */
async function look(run: Run, step: Step & { kind: 'copy' | 'chain' }, sizeBytes: number): Promise<void> {
  const { counts, work, input } = run;
  const key = step.kind === 'copy' ? step.task.key : step.key;
  if (step.kind === 'copy' && (await isSameAfterAll(run, step))) {
    counts.same += 1;
    counts.wanted -= 1;
    counts.wantedBytes -= sizeBytes;
    return;
  }
  if (step.why === 'absent') counts.onlySource += 1;
  else counts.different += 1;
  if (input.rule.mode === 'plan') work.tell(eventOf(key, sizeBytes, 'would-copy'));
  else work.tell(eventOf(key, sizeBytes, step.why === 'absent' ? 'only-source' : 'different'));
}

/** What the listings could not decide. */
async function isSameAfterAll({ setup, input: { rule } }: Run, step: Step & { kind: 'copy' }): Promise<boolean> {
  if (step.why !== 'unsure' && step.why !== 'properties') return false;
  if (step.why === 'unsure' && (await resolveSameness(setup, step.task, rule.compareBytes)).kind !== 'same')
    return false;
  return step.why === 'unsure' && !rule.compareProperties ? true : haveSameProperties(setup, step.task);
}

async function sweepDeletes(run: Run): Promise<void> {
  const { input, counts, doomed } = run;
  const { rule } = input;
  // Of a pass in pieces every piece has to have written down what it saw.
  const partial = input.cursor !== undefined && input.workDirectory === undefined;
  if (rule.deleteShare === undefined || rule.mode === 'compare' || rule.versions || partial) return doomed.clear();
  guardDeletes({ deletes: counts.toDelete, present: counts.targetObjects }, rule.deleteShare, sideName(run.target));
  if (rule.mode === 'plan')
    for await (const { key, sizeBytes } of doomed.all()) run.work.tell(eventOf(key, sizeBytes, 'would-delete'));
  else await deleteDoomed(run.work, doomed.all());
  doomed.clear();
}
