import type { Command } from 'commander';
import { choosing, each } from './repo-data.ts';
import { repoAction } from '../repo/action.ts';

/** Commands that look after a repository. Their bodies are loaded when they are used. */
export function addCareCommands(group: Command): void {
  addForget(group);
  group
    .command('prune')
    .description('give back the space of what no snapshot needs')
    .option('--max-unused <share>', 'so much waste may stay: 5%, 0 or unlimited; less takes longer', '5%')
    .option('-n, --dry-run', 'say what would be done')
    .action(repoAction(async () => (await import('../repo/prune.ts')).prune));
  group
    .command('check')
    .description('find what is damaged, and name the files it hurts')
    .option('--read-data', 'read every pack and compare it with its hashes')
    .option('--read-data-subset <part>', 'read a part: 2/7, 10% (the longest unread), 30d (unread for so long)')
    .action(repoAction(async () => (await import('../repo/check.ts')).check));
  group
    .command('mirror')
    .description('copy the repository as it is to another place; the same passwords open it there')
    .argument('<to>', 'directory, s3://bucket/prefix or oss://bucket/prefix; empty, or the mirror of last time')
    .option('--remove', 'also remove there what is no longer here')
    .action(repoAction(async () => (await import('../repo/mirror.ts')).mirror));
  addKey(group);
  group
    .command('renew-locks')
    .description('keep what snapshots need from being removed for so long, in a bucket with object lock')
    .requiredOption('--for <duration>', 'from now on, e.g. 30d; a lock is never made shorter')
    .option('--mode <mode>', 'compliance: nobody lifts it; governance: who has the right to', 'compliance')
    .option('--ask-all', 'ask the store about every file, not only those that are due')
    .action(repoAction(async () => (await import('../repo/renew-locks.ts')).renewLocks));
  group
    .command('unlock')
    .description('remove locks of clients that are gone')
    .option('--remove-all', 'all locks; only when nobody works on the repository')
    .action(repoAction(async () => (await import('../repo/unlock.ts')).unlock));
}

function addForget(group: Command): void {
  const command = group
    .command('forget')
    .description('remove snapshots by a policy; the newest of each group always stays')
    .argument('[ids...]', 'remove these, without a policy');
  command.option('-l, --keep-last <n>', 'keep the last n snapshots; or unlimited');
  for (const [name, { letter, plural }] of Object.entries(spans)) {
    command.option(`-${letter}, --keep-${name} <n>`, `keep the last of each of the last n ${plural}; or unlimited`);
  }
  command.option('--keep-within <span>', 'keep all of so long before the newest one, e.g. 1y6m14d12h');
  for (const name of Object.keys(spans)) command.option(`--keep-within-${name} <span>`, `keep ${name} ones of so long`);
  choosing(command, '--host <name>')
    .option('--keep-tag <tags>', 'keep those with these tags; may be repeated', each)
    .option('-g, --group-by <what>', 'the policy holds for each group: host, paths, tags', 'host,paths')
    .option('-n, --dry-run', 'say what would be done')
    .option('--prune', 'give the space back at once')
    .option('--max-unused <share>', 'with --prune: so much waste may stay', '5%')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx muster repo forget --keep-last 3 --keep-daily 14 --keep-monthly 12 --dry-run',
    )
    .action(repoAction(async () => (await import('../repo/forget.ts')).forget));
}

/** restic's letters: `-H` is not the host here. */
const spans = {
  hourly: { letter: 'H', plural: 'hours' },
  daily: { letter: 'd', plural: 'days' },
  weekly: { letter: 'w', plural: 'weeks' },
  monthly: { letter: 'm', plural: 'months' },
  yearly: { letter: 'y', plural: 'years' },
} as const;

function addKey(group: Command): void {
  const key = group.command('key').description('passwords that open the repository');
  const newFile = ['--new-password-file <file>', 'file with the new password (else it is asked for)'] as const;
  const newCommand = ['--new-password-command <command>', 'command that prints the new password'] as const;
  key
    .command('list')
    .description('who has one, and since when')
    .action(repoAction(async () => (await import('../repo/key.ts')).keyList));
  key
    .command('add')
    .description('add a password')
    .option(...newFile)
    .option(...newCommand)
    .option('--user <name>', 'whose it is')
    .option('--host <name>', 'where it is used')
    .action(repoAction(async () => (await import('../repo/key.ts')).keyAdd));
  key
    .command('remove')
    .description('take a password away')
    .argument('<id>', 'of `key list`')
    .action(repoAction(async () => (await import('../repo/key.ts')).keyRemove));
  key
    .command('rotate')
    .alias('passwd')
    .description('replace the password in use: adds the new one, opens with it, takes the old one away')
    .option(...newFile)
    .option(...newCommand)
    .action(repoAction(async () => (await import('../repo/key.ts')).keyRotate));
}
