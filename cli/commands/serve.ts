import type { Command } from 'commander';

/** `muster worker` and `muster agent`: the two long-running programs, configured by their environment alone. */
export function addServe(program: Command): void {
  program
    .command('worker')
    .description('Run the control plane: Temporal worker, granter, watch, ledger, /metrics')
    .addHelpText(
      'after',
      '\nExample:\n  $ MUSTER_ESTATE=muster.yaml MUSTER_LEDGER_URL=… MUSTER_AGENT_TOKEN=… npx muster worker',
    )
    .action(async () => {
      await import('../../worker/main.ts');
    });
  program
    .command('agent')
    .description("Run a site's agent: guards of its databases, its steps, its view of the other sites")
    .addHelpText(
      'after',
      '\nExample:\n  $ MUSTER_SITE=beijing MUSTER_ESTATE=muster.yaml MUSTER_AGENT_TOKEN=… npx muster agent',
    )
    .action(async () => {
      await import('../../worker/agent.ts');
    });
}
