import type { Command } from 'commander';

/** Adds commands to the program. */
export type AddCommands = (program: Command) => void;

export interface CommandGroup {
  /** What the first argument has to be for these commands. */
  names: readonly string[];
  load(): Promise<AddCommands>;
}

/**
 * Every command, in the order of the help. What lies in `commands/` says how a command is called and no more; what it
 * does is loaded by its action.
 */
export const commandGroups: readonly CommandGroup[] = [
  { names: ['up', 'down'], load: async () => (await import('./commands/up.ts')).addUpAndDown },
  { names: ['game-day'], load: async () => (await import('./commands/game-day.ts')).addGameDay },
  { names: ['status'], load: async () => (await import('./commands/status.ts')).addStatus },
  { names: ['findings'], load: async () => (await import('./commands/findings.ts')).addFindings },
  { names: ['plan'], load: async () => (await import('./commands/plan.ts')).addPlan },
  { names: ['lint'], load: async () => (await import('./commands/lint.ts')).addLint },
  { names: ['diff'], load: async () => (await import('./commands/diff.ts')).addDiff },
  { names: ['apply'], load: async () => (await import('./commands/apply.ts')).addApply },
  { names: ['schedules'], load: async () => (await import('./commands/schedules.ts')).addSchedules },
  { names: ['failover'], load: async () => (await import('./commands/failover.ts')).addFailover },
  { names: ['failback'], load: async () => (await import('./commands/failback.ts')).addFailback },
  { names: ['reprotect'], load: async () => (await import('./commands/reprotect.ts')).addReprotect },
  { names: ['drill'], load: async () => (await import('./commands/drill.ts')).addDrill },
  {
    names: ['approve', 'pause', 'resume', 'skip', 'retry', 'go-ungraceful', 'abort'],
    load: async () => (await import('./commands/orders.ts')).addOrders,
  },
  { names: ['report'], load: async () => (await import('./commands/report.ts')).addReport },
  { names: ['doctor'], load: async () => (await import('./commands/doctor.ts')).addDoctor },
  { names: ['worker', 'agent'], load: async () => (await import('./commands/serve.ts')).addServe },
  { names: ['storage-node'], load: async () => (await import('./commands/storage-node.ts')).addStorageNode },
  { names: ['backups'], load: async () => (await import('./commands/backups.ts')).addBackups },
  { names: ['replicate'], load: async () => (await import('./commands/replicate.ts')).addReplicate },
  { names: ['recovery-points'], load: async () => (await import('./commands/recovery-points.ts')).addRecoveryPoints },
  { names: ['repo'], load: async () => (await import('./commands/repo.ts')).addRepo },
  { names: ['copies'], load: async () => (await import('./commands/copies.ts')).addCopies },
  { names: ['copy'], load: async () => (await import('./commands/copy.ts')).addCopy },
  { names: ['migrate'], load: async () => (await import('./commands/migrate.ts')).addMigrate },
  { names: ['lifecycle'], load: async () => (await import('./commands/lifecycle.ts')).addLifecycle },
];

/** The groups that the arguments can be about: all of them for help, and where nothing has that name. */
export function groupsFor(args: readonly string[]): readonly CommandGroup[] {
  if (args[0] === '-V' || args[0] === '--version') return [];
  const named = commandGroups.filter(({ names }) => names.includes(args[0] ?? ''));
  return named.length > 0 ? named : commandGroups;
}
