import type { CopyAmount, CopyOrder, CopyResult, CopyView } from './copying.ts';
import type { ProtectionBatch, ProtectionRun } from './protection.ts';

/** Markdown for the Temporal UI. */
export function describeCopy({ from, to, legs }: CopyOrder, view: CopyView): string {
  const { name, mode, phase, startedBy, counts, toDo, pieces, rate, etaSeconds, failure } = view;
  const what = mode === 'do' ? 'Copy' : mode === 'plan' ? 'Dry run of copy' : 'Comparison of copy';
  const lines = [
    `### ${what} ${name}`,
    '',
    `**${phase}**, started by ${startedBy}; ${from}${to === null ? '' : ` → ${to}`}`,
  ];
  if (failure !== null) lines.push('', `**Stopped:** ${failure}`);
  if (phase === 'paused') lines.push('', `Go on: \`muster copies resume ${name}\``);
  lines.push('');
  if (legs.length > 1 && view.leg !== '') lines.push(`- at rule ${view.leg}, ${legs.length} in all`);
  lines.push(
    `- copied: ${counts.copied} objects, ${sizeText(counts.copiedBytes)}${ofText(toDo)}; the same: ${counts.same}`,
  );
  if (counts.deleted > 0) lines.push(`- deleted: ${counts.deleted}`);
  const left = counts.failed + counts.kept + counts.archived + counts.changing;
  if (left > 0)
    lines.push(
      `- left out: ${left}, the first: ${view.named
        .slice(0, 5)
        .map(({ key, what: why }) => `\`${key}\` (${why})`)
        .join(', ')}`,
    );
  if (rate !== null)
    lines.push(`- rate: ${sizeText(rate.bytesPerSecond)}/s, ${rate.objectsPerSecond.toFixed(1)} objects/s`);
  if (phase === 'copying') lines.push(`- ETA: ${etaSeconds === null ? 'unknown' : durationText(etaSeconds)}`);
  lines.push(`- pieces done: ${pieces}`);
  lines.push('', 'How far the present piece is, the heartbeat of its activity tells.');
  return lines.join('\n');
}

function ofText(toDo: CopyAmount | null): string {
  return toDo === null ? '' : ` of ${toDo.objects}, ${sizeText(toDo.bytes)}`;
}

/** `999 B`, `1.5 KiB`, `340.2 MiB`. */
export function sizeText(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let [value, unit] = [bytes / 1024, 0];
  while (value >= 1023.95 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** `12 s`, `4 min 10 s`, `3 h 5 min`. */
export function durationText(seconds: number): string {
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  const [hours, minutes] = [Math.floor(total / 3_600), Math.floor((total % 3_600) / 60)];
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${total % 60} s`;
}

/** What the ledger is told of a copy that has ended. Left out, guarded and stopped are findings. */
export function copyBatch(
  result: CopyResult,
  { runId, startedBy }: { runId: string; startedBy: string },
): ProtectionBatch {
  const { name, verdict, counts, failure, pieces, startedAtMs, endedAtMs, named } = result;
  const run: ProtectionRun = {
    ...{ id: runId, kind: 'copy', service: '', resource: name, vault: '', startedBy, startedAtMs, endedAtMs },
    ...{ outcome: outcomeOf(result), failure, facts: { verdict, pieces, ...counts } },
  };
  const none = { run, point: null, proof: null, removed: [] };
  const finding = (severity: 'warning' | 'critical', what: string): ProtectionBatch => ({
    ...none,
    findings: [{ severity, what }],
  });
  if (verdict === 'done' || (verdict === 'stopped' && failure === null)) return { ...none, findings: [] };
  if (verdict === 'guarded') return finding('critical', `copy ${name} deleted nothing: ${failure ?? ''}`);
  if (verdict === 'stopped') return finding('critical', `copy ${name} was stopped: ${failure ?? ''}`);
  const left = counts.failed + counts.kept + counts.archived + counts.changing;
  const first = named.slice(0, 3).map(({ key, what, why }) => `${key} (${what}${why === '' ? '' : `: ${why}`})`);
  return finding('warning', `copy ${name} left out ${left} objects: ${first.join('; ')}`);
}

function outcomeOf({ verdict, failure }: CopyResult): ProtectionRun['outcome'] {
  if (verdict === 'done' || verdict === 'partial') return verdict;
  return failure === null ? 'stopped' : 'failed';
}
