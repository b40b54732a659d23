import type { Command } from 'commander';
import { action } from '../command.ts';

const help = `
Buckets with "replication: async" in the estate are copied to the other site, whichever site writes. Moves of the service
turn it round; a pause stops the copying, and with it everything that is known about a loss.

Examples:
  $ npx muster replicate status
  $ npx muster replicate start shop
  $ npx muster replicate pause shop/receipts
  $ npx muster replicate history shop
  $ npx muster replicate lost                      # in the newest failover
  $ npx muster replicate lost failover-shop-20261120-081500-4f2a

Exit codes of replicate:
  0    done; with status: everything runs, and the loss is known and inside the objective
  1    failed: the code says why
  2    wrong usage or settings: nothing was started
  3    with status: something does not run, or its loss is unknown or over the objective`;

/** `muster replicate`: the continuous replication of buckets. */
export function addReplicate(program: Command): void {
  const group = program.command('replicate').description('Replication of buckets: how far, start, pause, resume');
  group.addHelpText('after', help);
  const common = (command: Command): Command => command.option('--json', 'print as JSON');
  common(
    group.command('status [service/resource]').description('What would be lost now, backlog, watermark, rate and ETA'),
  ).action(action(async () => (await import('../replicate/status.ts')).showReplications));
  common(
    group.command('history [service/resource]').description('How far each bucket was behind in the last 24 hours'),
  ).action(action(async () => (await import('../replicate/history.ts')).showHistory));
  common(group.command('lost [run]').description('Every object that a run found lost; the newest failover')).action(
    action(async () => (await import('../replicate/history.ts')).showLost),
  );
  common(
    group
      .command('start [service/resource]')
      .description('Replicate from the site that writes; what runs already is left alone')
      .option('--by <name>', 'who orders it (default: $USER)'),
  ).action(action(async () => (await import('../replicate/orders.ts')).startReplications));
  common(
    group.command('pause [service/resource]').description('Copy nothing until it is resumed; the loss is unknown then'),
  ).action(action(async () => (await import('../replicate/orders.ts')).pauseReplication));
  common(
    group.command('resume [service/resource]').description('Go on after a pause, or after what stopped it is mended'),
  ).action(action(async () => (await import('../replicate/orders.ts')).resumeReplication));
}
