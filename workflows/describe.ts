import type { Run, StepState } from './engine/run.ts';

const signs: Record<StepState['status'], string> = {
  pending: '·',
  performing: '▶',
  confirming: '◌',
  asking: '?',
  retrying: '↻',
  done: '✓',
  failed: '✗',
  skipped: '–',
  undoing: '↶',
  undone: '↶',
  'undo-failed': '✗',
};

/** One word for lists and search: what the run is at, or how it ended. */
export function phaseOf(run: Run): string {
  if (run.status === 'finished') return run.outcome ?? 'finished';
  if (run.status !== 'running') return run.status;
  const asking = run.plan.steps.find((step) => run.steps[step.id]?.status === 'asking');
  if (asking !== undefined) return 'asking';
  const live = run.plan.steps.find((step) =>
    ['performing', 'confirming', 'retrying'].includes(run.steps[step.id]?.status ?? ''),
  );
  return live?.verb ?? 'starting';
}

/** Markdown for the Temporal UI: where the run is, what it waits for and what to do. Reads well without tables. */
export function describeRun(run: Run): string {
  const { plan } = run;
  const lines = [
    `### ${plan.drill ? 'Drill: ' : ''}${plan.kind} of ${plan.service}, ${plan.from} → ${plan.to}`,
    '',
    `**${phaseOf(run)}**${run.reason === null ? '' : `: ${run.reason}`}`,
  ];
  for (const step of plan.steps) {
    const state = run.steps[step.id];
    if (state?.status !== 'asking') continue;
    lines.push(
      '',
      `**Waits for a person:** ${state.note ?? step.id}`,
      `Answer: \`muster approve ${plan.service} --step ${step.id} --by NAME --why REASON\` (or \`--decline\`)`,
    );
  }
  if (run.status === 'paused')
    lines.push(
      '',
      `**Waits for a person.** Go on: \`muster resume ${plan.service}\`; without the step: \`muster skip ${plan.service}\`; take back: \`muster abort ${plan.service}\` (each with --by and --why)`,
    );
  lines.push('');
  for (const step of plan.steps) {
    const state = run.steps[step.id];
    if (state === undefined) continue;
    const tookMs =
      state.startedAtMs !== null && state.endedAtMs !== null ? ` ${state.endedAtMs - state.startedAtMs} ms` : '';
    const said = state.failure === null ? '' : ` — ${state.failure.message}`;
    lines.push(`- ${signs[state.status]} ${step.id}${tookMs}${said}`);
  }
  return lines.join('\n');
}
