import { Option, type Command } from 'commander';
import { action } from '../command.ts';

const help = `
What is saved, where and how often stands in the estate (backups, vaults); \`muster apply\` makes schedules of it.
A backup is intact when its checksums hold, and proven when it was restored and looked at: only proven counts.

Examples:
  $ npx muster backups list
  $ npx muster backups now shop/orders
  $ npx muster backups prove shop/orders --point random
  $ npx muster backups restore shop/orders --into /var/lib/postgresql/restored --to-time 2026-03-01T14:05:00Z
  $ npx muster backups prune vault --dry-run

Exit codes of backups:
  0    done
  1    failed: the code says why; also when a proof or a check found damage
  2    wrong usage or settings: nothing was started
  3    the backup is saved, but partial; or, with list, something that should be proven is not`;

/** `muster backups`: what the estate saves, by hand. */
export function addBackups(program: Command): void {
  const group = program.command('backups').description('Recovery points: list, make, prove, restore, check, prune');
  group.addHelpText('after', help);
  const common = (command: Command): Command =>
    command
      .option('--vault <name>', 'the vault, when a resource is saved into several')
      .option('--by <name>', 'who orders it (default: $USER)')
      .option('--detach', 'start it and return')
      .option('--json', 'print the result as JSON');

  group
    .command('list [service/resource]')
    .description('Recovery points, newest first: complete or partial, proven or not; and what runs now')
    .option('--vault <name>', 'only those in this vault')
    .option('--from-vault', 'ask the vaults themselves instead of the ledger')
    .option('--all', 'show all, not the newest twenty of each')
    .option('--json', 'print as JSON')
    .action(action(async () => (await import('../backups/list.ts')).listBackups));
  common(
    group.command('now [service/resource]').description('Make a recovery point now, and wait until it is there'),
  ).action(action(async () => (await import('../backups/now.ts')).backupNow));
  common(
    group
      .command('prove [service/resource]')
      .description('Restore a point into an isolated place, look at it, clear up, and keep what was found')
      .option('--point <id>', 'newest, random, or an id (its beginning is enough)', 'newest')
      .addOption(
        new Option('--target <target>', 'PostgreSQL: the point itself, or all archived WAL behind it').choices([
          'point',
          'latest',
        ]),
      ),
  ).action(action(async () => (await import('../backups/prove.ts')).proveBackup));
  common(
    group
      .command('restore [service/resource]')
      .description('Bring a recovery point back into an empty place')
      .requiredOption('--into <place>', 'empty directory on the machine of the worker, or s3://bucket/prefix')
      .option('--point <id>', 'newest, or an id (its beginning is enough)', 'newest')
      .option('--site <site>', 'directories: the site whose agent brings it back to its machine (default: the primary)')
      .option('--to-latest', 'PostgreSQL: replay all archived WAL')
      .option('--to-time <time>', 'PostgreSQL: replay up to this moment, e.g. 2026-03-01T14:05:00Z')
      .option('--to-lsn <lsn>', 'PostgreSQL: replay up to this position')
      .option('--to-name <name>', 'PostgreSQL: replay up to this restore point'),
  ).action(action(async () => (await import('../backups/restore.ts')).restoreBackup));
  common(
    group
      .command('verify [vault]')
      .description('Compare a vault with itself and read packs, those first that were read longest ago')
      .option('--percent <share>', 'how much to read, percent', '100'),
  ).action(action(async () => (await import('../backups/verify.ts')).verifyBackups));
  common(
    group
      .command('prune [vault]')
      .description("Remove what the estate's rules keep no longer, and give its space back")
      .option('--dry-run', 'say what would go, remove nothing'),
  ).action(action(async () => (await import('../backups/prune.ts')).pruneBackups));
  group
    .command('init [vault]')
    .description('Make the repositories of vaults that have none yet')
    .option('--json', 'print as JSON')
    .action(action(async () => (await import('../backups/init.ts')).initVaults));
}
