import { createHash } from 'node:crypto';
import { MusterError } from '../workflows/engine/errors.ts';
import type { Plan } from '../workflows/engine/plan.ts';
import type { Estate } from './estate.ts';

/** JSON with sorted keys and no spaces: the same data is the same text, whoever wrote it. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`;
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  throw new MusterError('INTERNAL', `a plan holds something that is not JSON: ${typeof value}`);
}

/** SHA-256 (hex) of the canonical JSON of a plan without its `hash`. */
export function hashPlan(plan: Omit<Plan, 'hash'>): string {
  const { hash: _, ...rest } = plan as Plan;
  return sha256(rest);
}

/** SHA-256 (hex) of what an estate says, whatever its file is called: names the estate version of a run. */
export function hashEstate(estate: Estate): string {
  const { fileName: _, ...rest } = estate;
  return sha256(rest);
}

function sha256(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

/** @throws MusterError PLAN_CHANGED when the plan is not the one that was hashed */
export function verifyPlanHash(plan: Plan): void {
  const actual = hashPlan(plan);
  if (actual === plan.hash) return;
  const short = (hash: string): string => hash.slice(0, 12);
  throw new MusterError('PLAN_CHANGED', `the plan says hash ${short(plan.hash)} but its content has ${short(actual)}`);
}
