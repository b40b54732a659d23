import type { Command } from 'commander';

/** Adds commands to the program. */
export type AddCommands = (program: Command) => void;

export interface CommandGroup {
  /** What the first argument has to be for these commands. */
  names: readonly string[];
  load(): Promise<AddCommands>;
}

/**
 * Every command, in the order of the help. A group is loaded when one of its commands is asked for: most of them need
 * Temporal, the ledger and the drivers, which cost half a second that the others should not wait for.
 */
export const commandGroups: readonly CommandGroup[] = [
  { names: ['up', 'down'], load: async () => (await import('./up.ts')).addUpAndDown },
  { names: ['game-day'], load: async () => (await import('./game-day.ts')).addGameDay },
  { names: ['status'], load: async () => (await import('./status.ts')).addStatus },
  { names: ['plan'], load: async () => (await import('./plan.ts')).addPlan },
  { names: ['lint'], load: async () => (await import('./lint.ts')).addLint },
  { names: ['diff'], load: async () => (await import('./diff.ts')).addDiff },
  { names: ['apply'], load: async () => (await import('./apply.ts')).addApply },
  { names: ['schedules'], load: async () => (await import('./schedules.ts')).addSchedules },
  { names: ['failover'], load: async () => (await import('./failover.ts')).addFailover },
  { names: ['failback'], load: async () => (await import('./failback.ts')).addFailback },
  { names: ['reprotect'], load: async () => (await import('./reprotect.ts')).addReprotect },
  { names: ['drill'], load: async () => (await import('./drill.ts')).addDrill },
  {
    names: ['approve', 'pause', 'resume', 'skip', 'retry', 'go-ungraceful', 'abort'],
    load: async () => (await import('./orders.ts')).addOrders,
  },
  { names: ['report'], load: async () => (await import('./report.ts')).addReport },
  { names: ['doctor'], load: async () => (await import('./doctor.ts')).addDoctor },
  { names: ['worker', 'agent'], load: async () => (await import('./serve.ts')).addServe },
  { names: ['storage-node'], load: async () => (await import('./storage-node.ts')).addStorageNode },
  { names: ['backups'], load: async () => (await import('./backups.ts')).addBackups },
  { names: ['replicate'], load: async () => (await import('./replicate.ts')).addReplicate },
  { names: ['recovery-points'], load: async () => (await import('./recovery-points.ts')).addRecoveryPoints },
  { names: ['repo'], load: async () => (await import('./repo.ts')).addRepo },
  { names: ['copies'], load: async () => (await import('./copies.ts')).addCopies },
  { names: ['copy'], load: async () => (await import('./copy.ts')).addCopy },
  { names: ['migrate'], load: async () => (await import('./migrate.ts')).addMigrate },
  { names: ['lifecycle'], load: async () => (await import('./lifecycle.ts')).addLifecycle },
];

/** The groups that the arguments can be about: all of them for help, and where nothing has that name. */
export function groupsFor(args: readonly string[]): readonly CommandGroup[] {
  if (args[0] === '-V' || args[0] === '--version') return [];
  const named = commandGroups.filter(({ names }) => names.includes(args[0] ?? ''));
  return named.length > 0 ? named : commandGroups;
}
