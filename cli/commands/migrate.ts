import type { Command } from 'commander';
import { loneAction, type LoneBody } from '../command.ts';
import type { MigrateFlags } from '../migrate.ts';
import { reportErrorLine } from '../output.ts';
import { addCarry, addChoice, addLimits } from './copy-options.ts';

const help = `
A migration goes one way, in this order; --state remembers where it stands:
  muster migrate assess    s3://old oss://new?region=cn-hangzhou --state /var/lib/muster/move
  muster migrate run       s3://old oss://new?region=cn-hangzhou --state /var/lib/muster/move   again and again, while users go on
  muster migrate cut-over  …  --writes-stopped      once nobody writes to the old place any more
  muster migrate roll-back …                        if it has to be: what was written at the new place comes home
  muster migrate status    …

Exit codes:
  0  done
  1  stopped: the code says why; run it again, it goes on where it was
  2  wrong usage, or not the time for this step: nothing was started
  3  run: still behind, or objects were left out; cut-over: both sides differ, the old place stays in use;
     assess: something cannot be moved; roll-back: something was kept, since both sides changed it
  4  a person is needed: writes are not stopped, or the delete guard stopped it
  130  stopped by Ctrl-C (143 by SIGTERM); run it again, it goes on where it was`;

/** `muster migrate`: a bucket moves to another place for good. Stands alone. */
export function addMigrate(program: Command): void {
  const group = program
    .command('migrate')
    .description('move a bucket to another place for good: assess, run, cut-over, roll-back')
    .addHelpText('after', help);
  const add = (name: string, description: string, load: () => Promise<LoneBody<MigrateFlags>>): Command =>
    addCarry(addChoice(group.command(name).description(description)))
      .argument('<source>', 's3://bucket/prefix or oss://bucket/prefix')
      .argument('<target>', 'the same')
      .requiredOption('--state <dir>', 'where this migration stands')
      .option('--json', 'lines of JSON')
      .action(loneAction(load, reportErrorLine));
  add(
    'assess',
    'what there is, what cannot come along, how long it will take; changes nothing',
    async () => (await import('../migrate.ts')).assess,
  )
    .option('--sample <percent>', 'of the objects whose metadata, tags and locks are looked at', '2')
    .option('--rate <bytes>', 'bytes a second to reckon with, e.g. 50M; default: as measured by run')
    .option('--objects-per-second <number>', 'to reckon with; default: as measured by run');
  const deletes = (command: Command): Command =>
    addLimits(command).option('--delete-guard <percent>', 'stop before deleting more than this share', '10');
  deletes(add('run', 'copy until the target has caught up', async () => (await import('../migrate.ts')).run))
    .option('--passes <number>', 'at most so many', '5')
    .option('--left <objects>', 'caught up when a pass finds no more than these', '0');
  add('status', 'where it stands', async () => (await import('../migrate.ts')).status);
  const cut = add(
    'cut-over',
    'the last pass and a full comparison, while nobody writes to the source',
    async () => (await import('../migrate.ts')).cutOver,
  );
  deletes(cut)
    .option('--writes-stopped', 'your word that nobody writes to the source any more')
    .option('--probe <time>', 'or watch the source for so long, e.g. 1m: nothing may change')
    .option('--download', 'compare bytes where nothing else decides')
    .option('--properties', 'also compare metadata, content headers and tags of each object');
  deletes(
    add(
      'roll-back',
      'back to the source, with what was written at the target since',
      async () => (await import('../migrate.ts')).rollBack,
    ),
  );
}
