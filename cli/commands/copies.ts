import type { Command } from 'commander';
import { action } from '../command.ts';

const help = `
Copies between buckets stand in the estate (copies); \`muster apply\` makes schedules of those that have a time. They run
at the control plane, piece by piece: a worker that dies, a pause or a stop costs the objects under way at most.

Examples:
  $ npx muster copies plan archive
  $ npx muster copies start archive --detach
  $ npx muster copies status
  $ npx muster copies compare archive

Exit codes of copies:
  0  done: the target holds what it should; with plan, it was said what would be done
  1  stopped or failed: the code says why; start it again, it goes on where it was
  2  wrong usage or settings: nothing was started
  3  done, but objects were left out (failed, archived, kept, changing) or, with compare, something differs
  4  the delete guard stopped it: look at what would be deleted (plan), then raise deleteGuard`;

/** `muster copies`: the long copies of the estate. */
export function addCopies(program: Command): void {
  const group = program
    .command('copies')
    .description('Long copies between buckets: plan, start, watch, pause, compare');
  group.addHelpText('after', help);
  const common = (command: Command): Command => command.option('--json', 'print as JSON');
  const started = (command: Command): Command =>
    common(command).option('--by <name>', 'who orders it (default: $USER)').option('--detach', 'start it and return');
  common(
    group.command('list').description('The copies of the estate: from where to where, when, how the last one ended'),
  ).action(action(async () => (await import('../copies/list.ts')).listCopies));
  started(
    group.command('plan <name>').description('Say what would be copied, deleted and moved; change nothing'),
  ).action(action(async () => (await import('../copies/run.ts')).planCopy));
  started(group.command('start <name>').description('Copy now, and wait until it is done')).action(
    action(async () => (await import('../copies/run.ts')).runCopy),
  );
  common(
    group.command('status [name]').description('How far copies are: objects, bytes, rate, ETA, what was left out'),
  ).action(action(async () => (await import('../copies/status.ts')).showCopies));
  common(
    group.command('pause <name>').description('End what is under way in order, and begin nothing until it is resumed'),
  ).action(action(async () => (await import('../copies/orders.ts')).pauseCopy));
  common(group.command('resume <name>').description('Go on after a pause')).action(
    action(async () => (await import('../copies/orders.ts')).resumeCopy),
  );
  common(group.command('stop <name>').description('End it in order; the next one finds what it has done')).action(
    action(async () => (await import('../copies/orders.ts')).stopTheCopy),
  );
  started(
    group.command('compare <name>').description('Compare both sides whole, reading them where nothing else decides'),
  ).action(action(async () => (await import('../copies/run.ts')).compareCopy));
}
