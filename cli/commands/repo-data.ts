import type { Command } from 'commander';
import { repoAction } from '../repo/action.ts';

/** For options that may be given several times. */
export const each = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** Options that choose snapshots. */
export function choosing(command: Command, host = '-H, --host <name>'): Command {
  return command
    .option(host, 'only of this host; may be repeated', each)
    .option('--path <path>', 'only with this path; repeated: with all of them', each)
    .option('--tag <tags>', 'only with these tags (a,b: both; repeated: either)', each);
}

/** Commands that move data in and out. Their bodies are loaded when they are used. */
export function addDataCommands(group: Command): void {
  group
    .command('init')
    .description('make an empty repository')
    .action(repoAction(async () => (await import('../repo/init.ts')).init));
  addBackup(group);
  addRestore(group);
  choosing(group.command('snapshots').description('list the snapshots').argument('[ids...]', 'only these'))
    .option('--latest <n>', 'only the last n of each host and paths')
    .action(repoAction(async () => (await import('../repo/snapshots.ts')).snapshots));
  choosing(
    group
      .command('ls')
      .description('list what is in a snapshot')
      .argument('<snapshot[:/path]>', 'an id, its beginning, or latest')
      .argument('[directory]', 'only what is in it'),
  )
    .option('-l, --long', 'with mode, owner, size and time')
    .option('--recursive', 'with a directory: what is in it all the way down')
    .option('--no-lock', 'take no lock, where the repository cannot be written')
    .action(repoAction(async () => (await import('../repo/ls.ts')).ls));
  choosing(group.command('stats').description('how large snapshots are').argument('[ids...]', 'only these'))
    .option('--mode <mode>', 'restore-size, or raw-data: as it is stored', 'restore-size')
    .option('--no-lock', 'take no lock, where the repository cannot be written')
    .action(repoAction(async () => (await import('../repo/stats.ts')).stats));
}

function addBackup(group: Command): void {
  group
    .command('backup')
    .description('save files and directories as a snapshot')
    .argument('<paths...>', 'what to save')
    .option('--tag <tags>', 'tags of the snapshot, a,b; may be repeated', each)
    .option('-H, --host <name>', 'host name of the snapshot, instead of this one')
    .option('-e, --exclude <pattern>', 'leave out; may be repeated', each)
    .option('--exclude-file <file>', 'leave out the patterns of this file, one a line; may be repeated', each)
    .option('-x, --one-file-system', 'stay on the file systems of the paths')
    .option('--parent <id>', 'compare with this snapshot (default: the newest of the same host and paths)')
    .option('-f, --force', 'read every file, even if it looks unchanged')
    .option('--compression <mode>', 'auto or off', 'auto')
    .option('--no-xattrs', 'leave extended attributes out, where the tools that read them are missing')
    .option('--no-scan', 'do not count first what there is: progress without ETA')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster repo backup /srv/shop --tag nightly\n  $ npx muster repo backup . -e node_modules -e "*.log"',
    )
    .action(repoAction(async () => (await import('../repo/backup.ts')).backup));
}

function addRestore(group: Command): void {
  choosing(
    group
      .command('restore')
      .description('write a snapshot, or a part of it, into a directory')
      .argument('<snapshot[:/path]>', 'an id, its beginning, or latest; with a path: the content of that directory'),
  )
    .requiredOption('-t, --target <directory>', 'where to')
    .option('-i, --include <pattern>', 'only this; may be repeated', each)
    .option('-e, --exclude <pattern>', 'not this; may be repeated', each)
    .option('--sparse', 'holes where files hold nothing but zeros')
    .option('--overwrite <when>', 'files that are there: always, if-changed (by size and time) or never', 'always')
    .option('--no-lock', 'take no lock, where the repository cannot be written')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx muster repo restore latest -t /tmp/all\n' +
        '  $ npx muster repo restore latest:/etc/nginx -t /tmp/nginx\n  $ npx muster repo restore 1a2b3c4d -t / -i /home/eve --overwrite never',
    )
    .action(repoAction(async () => (await import('../repo/restore.ts')).restore));
}
