import type { Command } from 'commander';
import { scenarios } from '../../sandbox/scenarios/index.ts';
import { loneAction } from '../command.ts';

export function addGameDay(program: Command): void {
  program
    .command('game-day [scenario]')
    .description('Play a disaster in the sandbox and report what it cost')
    .option('--ask', 'a person declares the disaster, instead of the policy')
    .option('--keep', 'leave the sandbox and the Temporal UI running afterwards')
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      `\nScenarios:\n${scenarios.map((s) => `  ${s.name.padEnd(12)} ${s.story}`).join('\n')}\n\nExamples:\n  $ npx muster game-day\n  $ npx muster game-day slow-link --keep`,
    )
    .action(loneAction(async () => (await import('../play-game-day.ts')).gameDay));
}
