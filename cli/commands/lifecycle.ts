import type { Command } from 'commander';
import { loneAction } from '../command.ts';
import { reportErrorLine } from '../output.ts';
import { addLimits } from './copy-options.ts';

const help = `
rules.yaml, in which an object goes by the first rule it meets (the same rules may stand below "copies" in an estate):
  to: oss://archive?region=cn-hangzhou        # where "migrate" goes
  rules:
    - { name: traces, prefix: traces/, minAge: 365d, migrate: { keepSource: false } }
    - { name: cold, minAge: 90d, minSize: 128K, tag: { class: cold }, tier: STANDARD_IA }

Examples:
  muster lifecycle plan s3://shop --rules rules.yaml
  muster lifecycle run  s3://shop --rules rules.yaml --state /var/lib/muster/shop-lifecycle

"tier" copies an object onto itself with another storage class; its age begins anew, as stores have it. "migrate" copies,
proves, and only then deletes at the source what is still the object that was proved.

Exit codes:
  0  done
  1  a rule was stopped: the code says why; run it again
  2  wrong usage, or a mistake in the rules: nothing was started
  3  some objects could not be moved, and stay where they are
  130  stopped by Ctrl-C (143 by SIGTERM); run it again`;

/** `muster lifecycle`: objects go to other classes or places by age, size, name and tag. Stands alone. */
export function addLifecycle(program: Command): void {
  const group = program
    .command('lifecycle')
    .description('tier or migrate objects by age, size, prefix and tag')
    .addHelpText('after', help);
  const add = (name: string, description: string): Command =>
    group
      .command(name)
      .description(description)
      .argument('<source>', 's3://bucket/prefix or oss://bucket/prefix')
      .requiredOption('--rules <file>', 'what shall happen to which objects, as YAML')
      .option('--json', 'lines of JSON');
  add('plan', 'count what each rule would do; changes nothing').action(
    loneAction(async () => (await import('../lifecycle.ts')).plan, reportErrorLine),
  );
  addLimits(add('run', 'carry the rules out, one after the other'))
    .option('--state <dir>', 'remember every object here; needed by rules that migrate')
    .action(loneAction(async () => (await import('../lifecycle.ts')).run, reportErrorLine));
}
