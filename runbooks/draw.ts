import { clockNames, type Plan, type PlanStep } from '../workflows/engine/plan.ts';
import { durationText } from './durations.ts';
import { criticalPath, edgesOf, endsRto, expectedMs, wavesOf, withoutShortcuts } from './graph.ts';

/** The plan as a table for terminals: steps in order, those that run side by side bracketed, the point of no return marked. */
export function drawText(plan: Plan): string {
  const waves = wavesOf(plan.steps);
  const rows = waves.flatMap((wave, index) =>
    wave.map((step, i) => rowOf(plan, step, index + 1, bracket(i, wave.length))),
  );
  const table = alignColumns([header, ...rows]);
  const lines = [...titleLines(plan), '', table[0] ?? ''];
  const noReturn = noReturnOf(waves);
  let row = 1;
  for (const wave of waves) {
    if (wave.some((step) => noReturn.includes(step.id))) lines.push(noReturnLine(noReturn));
    for (const _ of wave) lines.push(table[row++] ?? '');
  }
  return `${lines.join('\n')}\n`;
}

const header = ['  # ', 'step', 'at', 'effect', 'about', 'within', 'if it fails', 'undo', 'notes'];

function titleLines(plan: Plan): string[] {
  const { kind, service, from, to, mode, epoch, drill, objectives } = plan;
  const path = criticalPath(plan.steps, (step) => expectedMs(plan, step, mode), endsRto(plan.steps));
  return [
    `${kind} of ${service}: ${from} -> ${to}, ${mode}, epoch ${epoch}${drill ? ', drill' : ''}`,
    `objectives: RPO ${objectives.rpoSeconds} s, RTO ${objectives.rtoSeconds} s; critical path about ${durationText(path.totalMs)}`,
    `plan ${plan.hash.slice(0, 12)}`,
  ];
}

function bracket(index: number, size: number): string {
  if (size === 1) return ' ';
  if (index === 0) return '┌';
  return index === size - 1 ? '└' : '│';
}

function rowOf(plan: Plan, step: PlanStep, wave: number, side: string): string[] {
  const number = side === ' ' || side === '┌' ? String(wave).padStart(3) : '   ';
  const estimate = expectedMs(plan, step, step.modes.includes(plan.mode) ? plan.mode : (step.modes[0] ?? plan.mode));
  return [
    `${number}${side}`,
    step.id,
    step.verb === 'approve' ? 'people' : (step.site ?? 'control'),
    step.verb === 'approve' ? '' : step.effect,
    estimate === 0 ? '' : durationText(estimate),
    step.withinMs === 0 ? '' : durationText(step.withinMs),
    failureText(step),
    step.undo?.verb ?? '',
    notesOf(step).join('; '),
  ];
}

function failureText(step: PlanStep): string {
  if (step.verb === 'approve' || step.verb === 'wait' || step.verb === 'notify') return '';
  return step.critical ? step.onFailure : 'go on';
}

function notesOf(step: PlanStep): string[] {
  const notes: string[] = [];
  const [mode] = step.modes;
  if (step.modes.length === 1 && mode !== undefined) notes.push(`only ${mode}`);
  if (step.clock !== null) notes.push(`t${clockNames.indexOf(step.clock)} ${step.clock}`);
  const gate = gateText(step);
  if (gate !== null) notes.push(gate);
  if (step.args['moved'] === false) notes.push('not moved');
  if (step.always) notes.push('always');
  return notes;
}

function gateText({ gate, judge, verb }: PlanStep): string | null {
  if (gate === null) return null;
  const who = gate.approvers.length === 0 ? '' : ` of ${gate.approvers.join(', ')}`;
  const asks = gate.preApprovedBy === null ? `asks ${gate.approvals}${who}` : `approved by ${gate.preApprovedBy}`;
  if (judge === 'rpo') return `over the RPO: ${asks}`;
  return verb === 'fence' ? `not confirmed: ${asks}` : asks;
}

/** Ids of the first steps that cannot be taken back: from there a run only goes forward. */
function noReturnOf(waves: readonly (readonly PlanStep[])[]): string[] {
  const steps = waves.map((wave) => wave.filter((step) => step.effect === 'irreversible'));
  return (steps.find((wave) => wave.length > 0) ?? []).map((step) => step.id);
}

function noReturnLine(ids: readonly string[]): string {
  return `═════ point of no return: ${ids.join(', ')} ═════`;
}

function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** The plan as a Mermaid flow chart (GitHub, docs, the Temporal UI's markdown). Arrows that follow from others are left out. */
export function drawMermaid(plan: Plan): string {
  const names = new Map(plan.steps.map((step, index) => [step.id, `s${index}`]));
  const noReturn = noReturnOf(wavesOf(plan.steps));
  const nodes = plan.steps.map((step) => `  ${names.get(step.id)}${nodeShape(step, noReturn.includes(step.id))}`);
  const arrows = [...withoutShortcuts(edgesOf(plan.steps))].flatMap(([id, before]) =>
    before.map((first) => `  ${names.get(first)} --> ${names.get(id)}`),
  );
  const classes = plan.steps.map((step) => `  class ${names.get(step.id)} ${classOf(step)}`);
  return `${['flowchart TD', ...nodes, ...arrows, ...classDefinitions, ...classes].join('\n')}\n`;
}

const classDefinitions = [
  '  classDef read fill:#eef6ff,stroke:#4a7ebb,color:#111',
  '  classDef change fill:#fff6e0,stroke:#c98a1b,color:#111',
  '  classDef irreversible fill:#ffe3e0,stroke:#b3261e,color:#111,stroke-width:3px',
  '  classDef people fill:#f1e8ff,stroke:#7a4fbf,color:#111',
];

function classOf(step: PlanStep): string {
  return step.verb === 'approve' ? 'people' : step.effect;
}

function nodeShape(step: PlanStep, isNoReturn: boolean): string {
  const at = step.verb === 'approve' ? (step.gate?.question ?? 'people') : (step.site ?? 'control');
  const marks = [at, isNoReturn ? 'point of no return' : '', ...notesOf(step)];
  const label = [step.id, ...marks.filter((mark) => mark !== '').map(mermaidText)].join('<br/>');
  return step.verb === 'approve' ? `{{"${label}"}}` : `["${label}"]`;
}

/** Mermaid reads `#name;` as a character and a quote as the end of the label. */
function mermaidText(text: string): string {
  return text.replace(/[#"<>&]/g, (character) => `#${character.charCodeAt(0)};`).replace(/\s+/g, ' ');
}
