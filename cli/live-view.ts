import type { RunView, StepView } from '../workflows/io.ts';
import { say, seconds, style } from './output.ts';

/** Follows a run on a terminal: one line a step, redrawn in place; plain lines as they happen elsewhere. */
export interface LiveView {
  show(view: RunView): void;
}

export function createLiveView(terminal = process.stdout.isTTY): LiveView {
  return terminal ? redrawing() : plain();
}

const marks: Record<StepView['status'], string> = {
  pending: style.dim('·'),
  performing: style.blue('▶'),
  confirming: style.blue('◌'),
  retrying: style.yellow('↻'),
  asking: style.yellow('?'),
  done: style.green('✓'),
  failed: style.red('✗'),
  skipped: style.dim('–'),
  undoing: style.yellow('↶'),
  undone: style.yellow('↶'),
  'undo-failed': style.red('✗'),
};

function redrawing(): LiveView {
  let drawn = 0;
  let runId = '';
  return {
    show: (view) => {
      // A live drill is two runs, one after the other: what was drawn of the first stays.
      if (view.runId !== runId) drawn = 0;
      runId = view.runId;
      const lines = [headOf(view), ...view.steps.filter((s) => s.status !== 'skipped').map(lineOf), ...asksOf(view)];
      if (drawn > 0) process.stdout.write(`\u001b[${drawn}A`);
      for (const line of lines) process.stdout.write(`\u001b[2K${line}\n`);
      process.stdout.write('\u001b[J');
      drawn = lines.length;
    },
  };
}

function plain(): LiveView {
  const seen = new Map<string, string>();
  let runId = '';
  return {
    show: (view) => {
      if (view.runId !== runId) {
        seen.clear();
        say(headOf(view));
      }
      runId = view.runId;
      for (const step of view.steps) {
        const now = `${step.status} ${step.attempt}`;
        if (seen.get(step.id) === now || step.status === 'pending') continue;
        seen.set(step.id, now);
        if (step.status !== 'skipped') say(lineOf(step));
      }
      for (const ask of asksOf(view)) {
        if (seen.get(ask) === undefined) say(ask);
        seen.set(ask, 'said');
      }
    },
  };
}

function headOf(view: RunView): string {
  const how = view.outcome ?? view.status;
  return `${style.bold(`${view.kind} of ${view.service}`)}  ${view.from} → ${view.to}  epoch ${view.epoch}  ${style.dim(view.runId)}  ${how}`;
}

function lineOf(step: StepView): string {
  const tookMs = step.startedAtMs !== null && step.endedAtMs !== null ? seconds(step.endedAtMs - step.startedAtMs) : '';
  const said = step.failure ?? (step.status === 'asking' ? step.note : null);
  const again = step.attempt > 1 ? style.dim(` (attempt ${step.attempt})`) : '';
  return `  ${marks[step.status]} ${step.id.padEnd(26)} ${style.dim(tookMs.padStart(8))}${again}${said === null ? '' : `  ${style.yellow(said)}`}`;
}

function asksOf(view: RunView): string[] {
  const lines = view.asks.map(
    (ask) =>
      `  ${style.yellow('waits for a person:')} ${ask.question}\n    npx muster approve ${view.service} --step ${ask.stepId} --by NAME --why REASON`,
  );
  if (view.status === 'paused')
    lines.push(
      `  ${style.yellow('paused:')} ${view.reason ?? ''}\n    npx muster resume|skip|abort ${view.service} --by NAME --why REASON`,
    );
  return lines.flatMap((line) => line.split('\n'));
}
