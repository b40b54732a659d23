import { Option, type Command } from 'commander';
import { addDataCommands } from './repo-data.ts';
import { addCareCommands } from './repo-care.ts';

const help = `
The repository is one of restic's (format version 2): restic reads and writes it, too.
--repo takes a directory, s3://bucket/prefix?endpoint=https://host:9000&region=name or oss://bucket/prefix; without it
MUSTER_REPOSITORY, then RESTIC_REPOSITORY say where it is. Keys of buckets come from the environment or a profile
(AWS_*, ALIBABA_CLOUD_*). The password comes from --password-file, --password-command, RESTIC_PASSWORD_COMMAND,
RESTIC_PASSWORD_FILE or RESTIC_PASSWORD, else it is asked for.
With &objectLock=compliance:30d behind an s3:// address new files cannot be removed for so long; \`renew-locks\` goes on.

Examples:
  $ npx muster repo init --repo /backup/vault
  $ npx muster repo backup /home /etc --exclude '*.tmp' --repo /backup/vault
  $ npx muster repo restore latest --target /tmp/restored --repo /backup/vault
  $ npx muster repo forget --keep-daily 14 --keep-monthly 12 --prune --repo /backup/vault

Exit codes of repo:
  0    done
  1    failed: the code says why; also when the repository is locked, damaged, or a restore is not whole
  2    wrong usage or settings: nothing was started
  3    the snapshot is saved, but partial: files could not be read, or changed meanwhile
  130  stopped by Ctrl-C (143 by SIGTERM); what was written stays usable`;

/** `muster repo`: backup repositories. Stands alone: no estate, no ledger, no Temporal. */
export function addRepo(program: Command): void {
  const group = program
    .command('repo')
    .description('Back up, restore and look after a repository, by itself: no estate, no Temporal')
    .option('-r, --repo <place>', 'directory, s3://bucket/prefix or oss://bucket/prefix (MUSTER_REPOSITORY)')
    .option('-p, --password-file <file>', 'file with the password of the repository')
    .option('--password-command <command>', 'command that prints the password')
    .option('--lock-wait <duration>', 'wait so long for others that hold the repository, e.g. 5m')
    .addOption(new Option('--retry-lock <duration>', "restic's name for --lock-wait").hideHelp())
    .option('--json', 'JSON for programs, a value a line; progress as message_type "status"')
    .option('-q, --quiet', 'no progress and no remarks')
    .addHelpText('after', help);
  // Of the options above only those of the group belong to its commands; `--version` is the program's.
  group.configureHelp({ showGlobalOptions: true, visibleGlobalOptions: (command) => optionsOver(command, group) });
  addDataCommands(group);
  addCareCommands(group);
}

function optionsOver(command: Command, group: Command): Option[] {
  return command === group ? [] : group.options.filter(({ hidden }) => !hidden);
}
