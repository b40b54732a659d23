import type { Command } from 'commander';
import { loneAction } from '../command.ts';
import { reportErrorLine } from '../output.ts';
import { addCarry, addChoice, addLimits } from './copy-options.ts';

const help = `
Addresses: s3://bucket/prefix?endpoint=https://host:9000&region=eu-west-1 and oss://bucket/prefix; keys come from the
environment or a profile (AWS_*, ALIBABA_CLOUD_*); credentials=SRC in an address reads SRC_ACCESS_KEY_ID and so on.

Examples:
  muster copy s3://shop/receipts oss://shop-copy?region=cn-hangzhou --state /var/lib/muster/receipts --follow
  muster copy s3://a s3://b --both --state /var/lib/muster/ab            both sides write; conflicts are listed
  muster copy s3://a s3://b --both --state /var/lib/muster/ab --conflicts a --include /photos/7.jpg   one is settled

With --both, <state>/conflicts.jsonl lists what both sides changed since they last agreed; nothing of it is overwritten
unless --conflicts says who wins. Deletes go either way; --delete-guard holds for each side.

Exit codes of copy:
  0  the target holds what it should
  1  stopped: the code says why; run it again, with --state it goes on where it was
  2  wrong usage: nothing was started
  3  done, but objects were left out (failed, archived, kept, in conflict) or, with --compare-only, something differs
  4  the delete guard stopped it: look at what would be deleted (--dry-run), then raise --delete-guard
  130  stopped by Ctrl-C (143 by SIGTERM); with --state it goes on where it was`;

/** `muster copy`: from any bucket to any other. Stands alone: no estate, no ledger database, no Temporal. */
export function addCopy(program: Command): void {
  const command = program
    .command('copy')
    .description('copy or replicate a bucket to another one, S3 or OSS, verified and resumable')
    .argument('<source>', 's3://bucket/prefix or oss://bucket/prefix')
    .argument('<target>', 'the same')
    .option('--state <dir>', 'remember every object here: resumes, knows what is the same, shows lag')
    .option('--delete', 'delete at the target what the source does not have')
    .option('--delete-guard <percent>', 'stop before deleting more than this share of the target', '10')
    .option('--dry-run', 'say what would be done')
    .option('--compare-only', 'say what differs')
    .option('--download', 'compare bytes where nothing else decides')
    .option('--properties', 'also compare metadata, content headers and tags');
  addPolicies(addCarry(addLimits(addChoice(command))));
  command
    .option('--follow', 'go on for ever: change log of our own nodes, else a sweep each --every')
    .option('--every <time>', 'between two sweeps with --follow', '5m')
    .option('--both', 'both sides have users: writes and deletes go either way; needs --state')
    .option('--conflicts <who>', 'with --both, of what both changed: keep both, newer, a (the first) or b wins', 'keep')
    .option('--json', 'lines of JSON: progress, objects, result')
    .addHelpText('after', help)
    .action(loneAction(async () => (await import('../copy.ts')).copy, reportErrorLine));
}

function addPolicies(command: Command): void {
  command
    .option('--verify <percent>', 'read so many copies again at the target')
    .option('--compare-by <what>', 'content, time (size and time) or size', 'content')
    .option('--overwrite <what>', 'ours: only copies; older: also older foreign objects; always', 'ours')
    .option('--epoch <number>', 'copies of a higher epoch are never overwritten', '0')
    .option('--origin <name>', 'name of the source site, kept with every copy', '');
}
