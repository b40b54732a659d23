import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ReplicationLedger } from '../activities/mover/ledger/ledger.ts';
import { type NodeLog } from '../activities/mover/changes/node-log.ts';
import { type PairCursor, type PairInput, type PairLedgers, type Way } from '../activities/mover/pair/pair.ts';
import { type Side } from '../activities/mover/side.ts';
import { type CopyFlags, pairRuleOf } from './copy-rule.ts';
import { openState, stopInOrder } from './copy-state.ts';
import { openPairView, type PairView } from './copy-both-view.ts';
import { type ExitCode } from './exit-codes.ts';

export interface BothPlaces {
  a: Side;
  b: Side;
  /** Of the two places, alike in every run. */
  names: { a: string; b: string };
  fingerprint: string;
}

/** `muster copy --both`: two buckets that both have users. */
export async function copyBoth(
  { a, b, names, fingerprint }: BothPlaces,
  { flags, everyMs }: { flags: CopyFlags; everyMs: number },
): Promise<ExitCode> {
  const rule = pairRuleOf(flags, names);
  const directory = path.resolve(flags.state!);
  await using aToB = await openState(path.join(directory, 'aToB'), fingerprint);
  await using bToA = await openState(path.join(directory, 'bToA'), fingerprint);
  const ledgers = { aToB, bToA };
  const view = openPairView(flags.json === true, rule.pass.mode);
  const input: PairInput = { a, b, rule, ledgers, workDirectory: directory, onEvent: (event) => view.event(event) };
  try {
    return flags.follow === true ? await follow(input, { everyMs, view }) : await once(input, view);
  } finally {
    if (rule.pass.mode === 'do') view.conflicts(await listConflicts(ledgers, directory));
  }
}

async function once(input: PairInput, view: PairView): Promise<ExitCode> {
  const { runPair } = await import('../activities/mover/pair/run-pair.ts');
  const remembers = input.rule.pass.mode === 'do';
  const kept: ReplicationLedger = input.ledgers.aToB;
  const save = async (cursor: PairCursor | undefined): Promise<void> => {
    if (remembers && (await kept.frozen()) === undefined) await kept.setNote('cursor', cursor);
  };
  const cursor = remembers ? ((await kept.getNote('cursor')) as PairCursor | undefined) : undefined;
  const stop = stopInOrder();
  const run = runPair({
    ...input,
    ...(cursor === undefined ? {} : { cursor }),
    signal: stop.signal,
    onCheckpoint: (next) => void save(next).catch(() => {}),
  });
  const ticking = setInterval(() => view.progress(run.progress()), process.stderr.isTTY ? 500 : 5_000);
  try {
    const result = await run.finished;
    await save(result.kind === 'stopped' && result.code === 'ABORTED' ? result.cursor : undefined);
    return stop.exitCode(view.result(result));
  } finally {
    clearInterval(ticking);
    stop.end();
  }
}

async function follow(input: PairInput, { everyMs, view }: { everyMs: number; view: PairView }): Promise<ExitCode> {
  const { followPair } = await import('../activities/mover/pair/follow-pair.ts');
  const [a, b] = [await logOf(input.a), await logOf(input.b)];
  const logs: Partial<Record<Way, NodeLog>> = {
    ...(a === undefined ? {} : { aToB: a }),
    ...(b === undefined ? {} : { bToA: b }),
  };
  const stop = stopInOrder();
  try {
    await followPair({
      ...input,
      ...{ logs, everyMs, signal: stop.signal },
      onPass: (result) => void view.result(result),
      onFigures: (figures) => view.figures(figures),
    });
    return 0;
  } finally {
    stop.end();
    await a?.[Symbol.asyncDispose]();
    await b?.[Symbol.asyncDispose]();
  }
}

/** Whether it is a cluster of ours is found out by asking. */
async function logOf({ client: { place } }: Side): Promise<NodeLog | undefined> {
  if (place.dialect !== 's3') return undefined;
  const [{ openNodeLog }, { providerOf }] = await Promise.all([
    import('../activities/mover/changes/node-log.ts'),
    import('../activities/objects/credentials.ts'),
  ]);
  return openNodeLog(place, providerOf(place.credentials, process.env));
}

/** Writes the list whole or not at all. */
async function listConflicts(ledgers: PairLedgers, directory: string): Promise<{ file: string; conflicts: number }> {
  const { conflictLines } = await import('../activities/mover/pair/conflicts.ts');
  const file = path.join(directory, 'conflicts.jsonl');
  let conflicts = 0;
  async function* counted(): AsyncGenerator<string> {
    for await (const line of conflictLines(ledgers)) {
      conflicts += 1;
      yield line;
    }
  }
  await writeFile(`${file}.new`, counted());
  await rename(`${file}.new`, file);
  return { file, conflicts };
}
