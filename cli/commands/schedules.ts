import type { Command } from 'commander';
import { action } from '../command.ts';

const orders = [
  ['pause', 'Let a schedule rest until it is resumed'],
  ['resume', 'Let a schedule go on, whoever paused it'],
  ['trigger', 'Start a turn now; left out while one is running'],
] as const;

export function addSchedules(program: Command): void {
  const schedules = program
    .command('schedules')
    .description('What is done again and again, when next, and what came of it')
    .addHelpText(
      'after',
      `
Examples:
  $ npx muster schedules
  $ npx muster schedules pause backup/shop/orders/vault --why "the disk is being changed"
  $ npx muster schedules resume backup/shop/orders/vault
  $ npx muster schedules trigger restore-test/shop/orders/vault`,
    );
  schedules
    .command('list', { isDefault: true })
    .description('All of them, as a table; what `muster schedules` alone does')
    .option('--all', 'also those of other estate files')
    .option('--json', 'print as JSON')
    .action(action(async () => (await import('../schedules.ts')).listSchedules));
  for (const [order, does] of orders) {
    const command = schedules.command(`${order} <id>`).description(does);
    if (order !== 'trigger') {
      command.option('--by <name>', 'who orders it (default: $USER)');
      command.option('--why <reason>', 'why; it is shown wherever the schedule is');
    }
    command
      .option('--json', 'print the schedule as JSON')
      .action(action(async () => (await import('../schedules.ts')).carryOut(order)));
  }
}
