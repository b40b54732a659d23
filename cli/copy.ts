import path from 'node:path';
import { type PassCursor, type PassInput } from '../activities/mover/run/pass.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { type CopyFlags, durationOf, ruleOf } from './copy-rule.ts';
import { openCopyView } from './copy-view.ts';
import { openPlaces } from './copy-places.ts';
import { openState, stopInOrder } from './copy-state.ts';
import { type ExitCode } from './exit-codes.ts';

/** `muster copy` */
export async function copy(flags: CopyFlags, sourceText: string, targetText: string): Promise<ExitCode> {
  const rule = ruleOf(flags);
  const everyMs = durationOf('--every', flags.every);
  // Loaded when it is used: other commands start without it.
  const { keepHeapLean } = await import('../activities/mover/run/lean-heap.ts');
  keepHeapLean();
  await using places = await openPlaces(sourceText, targetText);
  const { source, target, names, fingerprint } = places;
  const directory = flags.state === undefined ? undefined : path.resolve(flags.state);
  if (flags.both === true) {
    const { copyBoth } = await import('./copy-both.ts');
    return await copyBoth({ a: source, b: target, names, fingerprint }, { flags, everyMs });
  }
  await using ledger = directory === undefined ? undefined : await openState(directory, fingerprint);
  const resumable = ledger !== undefined && rule.mode === 'do';
  const input: PassInput = {
    ...{ source, target, rule },
    ...(ledger === undefined ? {} : { ledger }),
    ...(directory === undefined ? {} : { workDirectory: directory }),
  };
  if (flags.follow === true) return await followUntilStopped(input, { everyMs, flags });
  const cursor = resumable ? ((await ledger.getNote('cursor')) as PassCursor | undefined) : undefined;
  return await runOnce(cursor === undefined ? input : { ...input, cursor }, flags, resumable);
}

async function runOnce(input: PassInput, flags: CopyFlags, resumable: boolean): Promise<ExitCode> {
  const { runPass } = await import('../activities/mover/run/run-pass.ts');
  const view = openCopyView(flags.json === true, input.rule.mode);
  const saveCursor = async (cursor: PassCursor | undefined): Promise<void> => {
    if (resumable) await input.ledger?.setNote('cursor', cursor);
  };
  const stop = stopInOrder();
  const run = runPass({
    ...input,
    signal: stop.signal,
    onObject: (event) => view.object(event),
    onCheckpoint: (cursor) => void saveCursor(cursor).catch(() => {}),
  });
  const ticking = setInterval(() => view.progress(run.progress()), process.stderr.isTTY ? 500 : 5_000);
  try {
    const result = await run.finished;
    const goesOn = result.kind === 'more' || (result.kind === 'stopped' && result.code === 'ABORTED');
    if ((await input.ledger?.frozen()) === undefined) await saveCursor(goesOn ? result.cursor : undefined);
    return stop.exitCode(view.result(result));
  } finally {
    clearInterval(ticking);
    stop.end();
  }
}

async function followUntilStopped(
  input: PassInput,
  { everyMs, flags }: { everyMs: number; flags: CopyFlags },
): Promise<ExitCode> {
  if (input.ledger === undefined) throw new MusterError('CONFIG_INVALID', '--follow needs --state');
  const [{ follow }, { openNodeLog }, { providerOf }] = await Promise.all([
    import('../activities/mover/changes/follow.ts'),
    import('../activities/mover/changes/node-log.ts'),
    import('../activities/objects/credentials.ts'),
  ]);
  const { place } = input.source.client;
  // Whether it is a cluster of ours is found out by asking.
  await using log = place.dialect === 's3' ? openNodeLog(place, providerOf(place.credentials, process.env)) : undefined;
  const view = openCopyView(flags.json === true, input.rule.mode);
  const stop = stopInOrder();
  try {
    await follow({
      ...input,
      ledger: input.ledger,
      ...{ everyMs, signal: stop.signal },
      ...(log === undefined ? {} : { log }),
      onObject: (event) => view.object(event),
      onPass: (result) => void view.result(result),
      onFigures: (figures) => {
        if (flags.json === true) process.stdout.write(`${JSON.stringify({ type: 'figures', ...figures })}\n`);
      },
    });
    return 0;
  } finally {
    stop.end();
  }
}
