import path from 'node:path';
import { type Command } from 'commander';
import { type PassCursor, type PassInput } from '../activities/mover/run/pass.ts';
import { MusterError } from '../workflows/engine/errors.ts';
import { type CopyFlags, durationOf, ruleOf } from './copy-rule.ts';
import { openCopyView } from './copy-view.ts';
import { addCarry, addChoice, addLimits } from './copy-options.ts';
import { openPlaces } from './copy-places.ts';
import { onInterrupt, openState } from './copy-state.ts';
import { type ExitCode } from './exit-codes.ts';
import { reportError } from './output.ts';

const help = `
Addresses: s3://bucket/prefix?endpoint=https://host:9000&region=eu-west-1 and oss://bucket/prefix; keys come from the
environment or a profile (AWS_*, ALIBABA_CLOUD_*); credentials=SRC in an address reads SRC_ACCESS_KEY_ID and so on.

Examples:
  muster copy s3://shop/receipts oss://shop-copy?region=cn-hangzhou --state /var/lib/muster/receipts --follow
  muster copy s3://a s3://b --both --state /var/lib/muster/ab            both sides write; conflicts are listed
  muster copy s3://a s3://b --both --state /var/lib/muster/ab --conflicts a --include /photos/7.jpg   one is settled

With --both, <state>/conflicts.jsonl lists what both sides changed since they last agreed; nothing of it is overwritten
unless --conflicts says who wins. Deletes go either way; --delete-guard holds for each side.

Exit codes of copy:
  0  the target holds what it should
  1  stopped: the code says why; run it again, with --state it goes on where it was
  2  wrong usage: nothing was started
  3  done, but objects were left out (failed, archived, kept, in conflict) or, with --compare-only, something differs
  4  the delete guard stopped it: look at what would be deleted (--dry-run), then raise --delete-guard`;

/** `muster copy`: from any bucket to any other. Stands alone: no estate, no ledger database, no Temporal. */
export function addCopy(program: Command): void {
  const command = program
    .command('copy')
    .description('copy or replicate a bucket to another one, S3 or OSS, verified and resumable')
    .argument('<source>', 's3://bucket/prefix or oss://bucket/prefix')
    .argument('<target>', 'the same')
    .option('--state <dir>', 'remember every object here: resumes, knows what is the same, shows lag')
    .option('--delete', 'delete at the target what the source does not have')
    .option('--delete-guard <percent>', 'stop before deleting more than this share of the target', '10')
    .option('--dry-run', 'say what would be done')
    .option('--compare-only', 'say what differs')
    .option('--download', 'compare bytes where nothing else decides')
    .option('--properties', 'also compare metadata, content headers and tags');
  addPolicies(addCarry(addLimits(addChoice(command))));
  command
    .option('--follow', 'go on for ever: change log of our own nodes, else a sweep each --every')
    .option('--every <time>', 'between two sweeps with --follow', '5m')
    .option('--both', 'both sides have users: writes and deletes go either way; needs --state')
    .option('--conflicts <who>', 'with --both, of what both changed: keep both, newer, a (the first) or b wins', 'keep')
    .option('--json', 'lines of JSON: progress, objects, result')
    .addHelpText('after', help)
    .action(async (source: string, target: string, flags: CopyFlags) => {
      try {
        process.exitCode = await copy(source, target, flags);
      } catch (err) {
        process.exitCode = reportError(err, flags.json === true);
      }
    });
}

function addPolicies(command: Command): void {
  command
    .option('--verify <percent>', 'read so many copies again at the target')
    .option('--compare-by <what>', 'content, time (size and time) or size', 'content')
    .option('--overwrite <what>', 'ours: only copies; older: also older foreign objects; always', 'ours')
    .option('--epoch <number>', 'copies of a higher epoch are never overwritten', '0')
    .option('--origin <name>', 'name of the source site, kept with every copy', '');
}

async function copy(sourceText: string, targetText: string, flags: CopyFlags): Promise<ExitCode> {
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
  const stop = new AbortController();
  const saveCursor = async (cursor: PassCursor | undefined): Promise<void> => {
    if (resumable) await input.ledger?.setNote('cursor', cursor);
  };
  const run = runPass({
    ...input,
    signal: stop.signal,
    onObject: (event) => view.object(event),
    onCheckpoint: (cursor) => void saveCursor(cursor).catch(() => {}),
  });
  const release = onInterrupt(() => stop.abort(new Error('interrupted')));
  const ticking = setInterval(() => view.progress(run.progress()), process.stderr.isTTY ? 500 : 5_000);
  try {
    const result = await run.finished;
    const goesOn = result.kind === 'more' || (result.kind === 'stopped' && result.code === 'ABORTED');
    if ((await input.ledger?.frozen()) === undefined) await saveCursor(goesOn ? result.cursor : undefined);
    return view.result(result);
  } finally {
    clearInterval(ticking);
    release();
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
  const stop = new AbortController();
  const release = onInterrupt(() => stop.abort(new Error('interrupted')));
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
    release();
  }
}
