import type { Mode, Plan, PlanStep } from '../workflows/engine/plan.ts';

/** Names that point at the names they come after. Names that are not keys are ignored. */
export type Edges = ReadonlyMap<string, readonly string[]>;

/** One cycle as a closed walk (`a, b, a`), or null. */
export function findCycle(edges: Edges): string[] | null {
  const finished = new Set<string>();
  const walk: string[] = [];
  const visit = (name: string): string[] | null => {
    const at = walk.indexOf(name);
    if (at >= 0) return [...walk.slice(at), name];
    if (finished.has(name)) return null;
    walk.push(name);
    for (const next of edges.get(name) ?? []) {
      const cycle = visit(next);
      if (cycle !== null) return cycle;
    }
    walk.pop();
    finished.add(name);
    return null;
  };
  for (const name of edges.keys()) {
    const cycle = visit(name);
    if (cycle !== null) return cycle;
  }
  return null;
}

/** For each name everything it comes after, directly or not. The edges must be free of cycles. */
export function ancestorsOf(edges: Edges): Map<string, Set<string>> {
  const known = new Map<string, Set<string>>();
  const visit = (name: string): Set<string> => {
    const done = known.get(name);
    if (done !== undefined) return done;
    const all = new Set<string>();
    known.set(name, all);
    for (const before of edges.get(name) ?? []) {
      if (!edges.has(before)) continue;
      all.add(before);
      for (const further of visit(before)) all.add(further);
    }
    return all;
  };
  for (const name of edges.keys()) visit(name);
  return known;
}

export function edgesOf(steps: readonly PlanStep[]): Edges {
  return new Map(steps.map((step) => [step.id, step.after]));
}

/** The modes a run of this plan can be in: it may turn from graceful to ungraceful, never back. */
export function reachableModes(mode: Mode): Mode[] {
  return mode === 'graceful' ? ['graceful', 'ungraceful'] : ['ungraceful'];
}

/**
 * Ids of the steps that nothing comes after yet, looked at in each mode alone: what comes next must wait for all of
 * them, so that a step that is skipped in one mode leaves no gap in the order of that mode.
 */
export function leavesOf(steps: readonly PlanStep[]): string[] {
  const leaves = new Set<string>();
  for (const mode of ['graceful', 'ungraceful'] as const) {
    const active = steps.filter((step) => step.modes.includes(mode));
    const followed = new Set(active.flatMap((step) => step.after));
    for (const step of active) if (!followed.has(step.id)) leaves.add(step.id);
  }
  return steps.filter((step) => leaves.has(step.id)).map((step) => step.id);
}

/** What a step takes when nothing goes wrong, milliseconds. An ungraceful fence waits for the old lease to run out. */
export function expectedMs(plan: Plan, step: PlanStep, mode: Mode): number {
  if (!step.modes.includes(mode)) return 0;
  const waitsForLease = step.verb === 'fence' && mode === 'ungraceful';
  return waitsForLease ? Math.max(step.estimateMs, plan.leaseMs) : step.estimateMs;
}

export interface CriticalPath {
  ids: string[];
  totalMs: number;
}

/** The chain of steps that takes longest, up to and including the steps picked by `isEnd`. */
export function criticalPath(
  steps: readonly PlanStep[],
  durationMs: (step: PlanStep) => number,
  isEnd: (step: PlanStep) => boolean,
): CriticalPath {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const known = new Map<string, CriticalPath>();
  const pathTo = (step: PlanStep): CriticalPath => {
    const done = known.get(step.id);
    if (done !== undefined) return done;
    const before = longest(step.after.flatMap((id) => byId.get(id) ?? []).map(pathTo));
    const own = durationMs(step);
    const path = { ids: own > 0 ? [...before.ids, step.id] : before.ids, totalMs: before.totalMs + own };
    known.set(step.id, path);
    return path;
  };
  return longest(steps.filter(isEnd).map(pathTo));
}

function longest(paths: readonly CriticalPath[]): CriticalPath {
  return paths.reduce((best, path) => (path.totalMs > best.totalMs ? path : best), { ids: [], totalMs: 0 });
}

/** Whether the RTO ends with this step: clients are served and that was seen. Plans without such a step end at their last. */
export function endsRto(steps: readonly PlanStep[]): (step: PlanStep) => boolean {
  const hasVerified = steps.some((step) => step.clock === 'verified');
  return (step) => !hasVerified || step.clock === 'verified';
}

/** The steps in waves: each wave can start when those before it have ended. The edges must be free of cycles. */
export function wavesOf(steps: readonly PlanStep[]): PlanStep[][] {
  const depth = new Map<string, number>();
  const byId = new Map(steps.map((step) => [step.id, step]));
  const depthOf = (step: PlanStep): number => {
    const done = depth.get(step.id);
    if (done !== undefined) return done;
    const before = step.after.flatMap((id) => byId.get(id) ?? []).map(depthOf);
    const own = before.length === 0 ? 0 : Math.max(...before) + 1;
    depth.set(step.id, own);
    return own;
  };
  const waves: PlanStep[][] = [];
  for (const step of steps) (waves[depthOf(step)] ??= []).push(step);
  return waves;
}

/** The edges without those that follow from others: what a picture needs. */
export function withoutShortcuts(edges: Edges): Map<string, string[]> {
  const ancestors = ancestorsOf(edges);
  const reduced = new Map<string, string[]>();
  for (const [name, before] of edges) {
    const implied = new Set(before.flatMap((id) => [...(ancestors.get(id) ?? [])]));
    reduced.set(
      name,
      before.filter((id) => !implied.has(id)),
    );
  }
  return reduced;
}
