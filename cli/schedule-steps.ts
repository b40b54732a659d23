/** How what lies between an estate and Temporal's schedules is shown: `muster diff` and `muster apply`. */
import type { FieldChange, ScheduleStep } from '../worker/schedules/diff.ts';
import type { StandingStep } from '../worker/standing-orders.ts';
import { say, style } from './output.ts';

const signs = {
  create: style.green('+'),
  change: style.yellow('~'),
  drifted: style.yellow('!'),
  same: style.dim('='),
  remove: style.red('-'),
  foreign: style.red('x'),
} as const;

const standingSigns = { start: style.green('+'), change: style.yellow('~'), stop: style.red('-') } as const;
const aboutStanding = {
  start: 'to start, and keep running',
  change: 'to start anew: it runs by an older order',
  stop: 'to stop: the estate does not ask for it',
} as const;

/** One line a schedule, its fields below it; what is as it should be is counted only. */
export function drawSteps(steps: readonly ScheduleStep[], standing: readonly StandingStep[]): void {
  for (const step of steps) {
    if (step.kind === 'same' && step.pausedBy === null) continue;
    say(`${signs[step.kind]} ${style.bold(step.id)}  ${aboutStep(step)}`);
    if (step.kind === 'change' || step.kind === 'drifted') for (const change of step.changes) say(changeLine(change));
  }
  const same = steps.filter(({ kind }) => kind === 'same').length;
  for (const { kind, workflowId } of standing) {
    if (kind !== 'same') say(`${standingSigns[kind]} ${style.bold(workflowId)}  ${aboutStanding[kind]}`);
  }
  const runs = standing.filter(({ kind }) => kind === 'same').length;
  if (runs > 0) say(style.dim(`${runs} ${runs === 1 ? 'runs' : 'run'} all the time as the estate asks for`));
  if (same > 0) say(style.dim(`${same} ${same === 1 ? 'schedule is' : 'schedules are'} as the estate asks for`));
}

function aboutStep(step: ScheduleStep): string {
  switch (step.kind) {
    case 'create':
      return `to create, ${step.desired.subject.every}`;
    case 'change':
      return 'to change';
    case 'drifted':
      return step.pausedByHand === null ? 'changed by hand in Temporal' : 'changed or paused by hand';
    case 'same':
      return style.dim(step.pausedBy ?? '');
    case 'remove':
      return 'to remove: the estate does not ask for it';
    case 'foreign':
      return step.owner === 'nobody' ? 'was not made by Muster' : `is ${step.owner}'s`;
  }
}

function changeLine({ field, from, to }: FieldChange): string {
  if (field === 'paused') return `    paused${from === '' ? '' : `: ${text(from)}`} ${style.dim('(is left so)')}`;
  return `    ${field}: ${text(from)} → ${text(to)}`;
}

function text(value: FieldChange['from']): string {
  if (value === null) return 'nothing';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The same for programs. */
export function stepsJson(steps: readonly ScheduleStep[], standing: readonly StandingStep[]): unknown[] {
  const scheduled = steps.map((step) => ({
    id: step.id,
    step: step.kind,
    ...((step.kind === 'change' || step.kind === 'drifted') && { changes: step.changes }),
    ...(step.kind === 'same' && { pausedBy: step.pausedBy }),
    ...(step.kind === 'foreign' && { owner: step.owner }),
  }));
  return [...scheduled, ...standing.map(({ kind, workflowId }) => ({ id: workflowId, step: kind }))];
}
