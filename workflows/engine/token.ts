import type { Run } from './run.ts';

/** Same for every attempt of a step in one run and epoch; at most 64 ASCII characters (vendor limit of ClientToken). */
export function tokenOf(run: Run, stepId: string, undo = false): string {
  const text = `${run.id}/${stepId}/${run.plan.epoch}${undo ? '/undo' : ''}`;
  return `muster-${fnv1a(text, 0x811c9dc5)}${fnv1a(text, 0x9747b28c)}-${run.plan.epoch}`;
}

function fnv1a(text: string, seed: number): string {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}
