import { type Assessment } from '../activities/mover/migration/assess.ts';
import {
  type catchUp,
  type CutOver,
  type MigrationEvent,
  type MigrationPhase,
  type MigrationStep,
} from '../activities/mover/migration/migrate.ts';
import { type LedgerTotals } from '../activities/mover/ledger/ledger.ts';
import { type ObjectEvent, type PassResult, type PassRun } from '../activities/mover/run/pass.ts';
import { countsText, drawLine, durationText, eventText, mostNames, progressText, sizeText } from './copy-view.ts';
import { note, say, style } from './output.ts';

export interface MigrationStatus {
  phase: MigrationPhase | 'not begun';
  events: MigrationEvent[];
  totals: LedgerTotals;
}

/** What `muster migrate` prints. With `--json` lines of JSON, each with a `type`. */
export interface MigrateView {
  /** Shows the progress of a pass until it ends. */
  watch(run: PassRun, what: MigrationStep): void;
  object(event: ObjectEvent): void;
  assessment(found: Assessment): void;
  caughtUp(result: Awaited<ReturnType<typeof catchUp>>): void;
  cutOver(result: CutOver): void;
  rolledBack(result: PassResult): void;
  status(status: MigrationStatus): void;
}

const stepWords: Readonly<Record<MigrationStep, string>> = {
  'catch-up': 'catches up',
  'last-pass': 'last pass',
  comparison: 'compares all',
  'way-home': 'brings home',
};

export function openMigrateView(json: boolean): MigrateView {
  const live = !json && process.stderr.isTTY;
  const line = (type: string, value: object): void =>
    void process.stdout.write(`${JSON.stringify({ type, ...value })}\n`);
  const clear = (): void => void (live && process.stderr.write('\r\u001b[2K'));
  let shown = 0;
  const print = (type: string, value: object, text: () => string): void => {
    clear();
    if (json) line(type, value);
    else say(text());
  };
  return {
    watch(run, what) {
      const ticking = setInterval(
        () => {
          if (json) line('progress', { step: what, ...run.progress() });
          else if (live) drawLine(`${stepWords[what]}: ${progressText(run.progress())}`);
        },
        live ? 500 : 5_000,
      );
      void run.finished.then((result) => {
        clearInterval(ticking);
        clear();
        if (json) line('pass', { step: what, ...result });
        else note(`${stepWords[what]}: ${countsText(result.counts)} in ${durationText(result.elapsedMs)}`);
      });
    },
    object(event) {
      if (json) return line('object', event);
      if (event.kind === 'deleted') return;
      shown += 1;
      clear();
      if (shown <= mostNames) say(eventText(event));
      else if (shown === mostNames + 1) say('  ... and more; --json names all of them');
    },
    assessment: (found) => print('assessment', found, () => assessmentText(found)),
    caughtUp: (result) => print('result', result, () => caughtUpText(result)),
    cutOver: (result) => print('result', result, () => cutOverText(result)),
    rolledBack: (result) => print('result', result, () => rolledBackText(result)),
    status: (status) => print('status', status, () => statusText(status)),
  };
}

function assessmentText(found: Assessment): string {
  const { objects, sizeBytes, largestBytes, olderVersions, sampled, sampledWith, durationMs } = found;
  const classes = Object.entries(found.byStorageClass).map(
    ([name, tally]) =>
      `  ${name}: ${tally.objects} objects, ${sizeText(tally.sizeBytes)} → ${tally.becomes ?? 'no like at the target: its default'}`,
  );
  const impossible = found.impossible.map(
    ({ why, objects: many, examples }) =>
      `  ${style.red('cannot be moved')}: ${many} (${why}), e.g. ${examples.map((key) => JSON.stringify(key)).join(', ')}`,
  );
  const left = found.notCarried.map(
    ({ what, ofSampled }) => `  ${style.yellow('stays behind')}: ${what}, at ${ofSampled} of ${sampled} looked at`,
  );
  const older =
    olderVersions === undefined
      ? []
      : [
          `older versions: ${olderVersions.versions}, ${sizeText(olderVersions.sizeBytes)}, ${olderVersions.deleteMarkers} delete markers`,
        ];
  const took =
    durationMs.value === null ? `unknown: ${durationMs.why ?? ''}` : `about ${durationText(durationMs.value)}`;
  return [
    `${style.bold(`${objects} objects, ${sizeText(sizeBytes)}`)}; the largest ${sizeText(largestBytes)}`,
    ...classes,
    ...older,
    `looked at ${sampled}: ${sampledWith.tags} with tags, ${sampledWith.metadata} with metadata, ${sampledWith.retention} locked`,
    ...impossible,
    ...left,
    ...found.buckets.warnings.map((warning) => `  note: ${warning}`),
    `time to copy: ${took}`,
  ].join('\n');
}

function stoppedText({ code, message }: { code: string; message: string }): string {
  return `${style.red(`stopped: ${code}`)}: ${message}`;
}

function caughtUpText(result: Awaited<ReturnType<typeof catchUp>>): string {
  if (result.kind === 'stopped') return stoppedText(result);
  if (result.kind === 'behind')
    return `${style.yellow('still behind')}: the last pass carried ${result.lastCopied}; run it again`;
  return `${style.green('caught up')}: the last pass carried ${result.lastCopied}. Next: stop all writers, then cut-over`;
}

function cutOverText(result: CutOver): string {
  if (result.kind === 'stopped') return stoppedText(result);
  if (result.kind === 'ready')
    return `${style.green('cut over')}: ${result.objects} objects were compared and agree. Use the target now`;
  const head = `${style.red('not cut over')}: ${result.differences} differ; the source stays in use`;
  return [head, ...result.examples.map((example) => `  ${example}`)].join('\n');
}

function rolledBackText(result: PassResult): string {
  if (result.kind === 'stopped') return stoppedText(result);
  const kept = result.counts.kept > 0 ? '; what both sides changed was kept as it is' : '';
  return `${style.green('rolled back')}: ${countsText(result.counts)}${kept}. Use the source again`;
}

function statusText({ phase, events, totals }: MigrationStatus): string {
  const open = totals.pending.objects + totals.copied.objects + totals.failed.objects;
  const lines = events.map(
    ({ atMs, phase: at, copied, copiedBytes, deleted, failed }) =>
      `  ${new Date(atMs).toISOString()} ${at}: ${copied} copied (${sizeText(copiedBytes)}), ${deleted} deleted, ${failed} failed`,
  );
  return [`${style.bold(phase)}: ${totals.verifiedRows} objects proved at the target, ${open} not`, ...lines].join(
    '\n',
  );
}
