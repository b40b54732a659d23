/** The process of one storage node: settings from the environment (and flags given by `muster storage-node start`). */
import { flushCompileCache } from 'node:module';
import { configFromArgs } from './command-line.ts';
import { createLog } from './log.ts';
import { startNode } from './node.ts';

async function main(): Promise<void> {
  const config = configFromArgs(process.argv.slice(2), process.env);
  const log = createLog(config.logLevel, config.self.id);
  if (config.topology.singleMachine) {
    log.warn({}, 'all drives are on this machine: for development; losing the machine loses everything');
  }
  const node = await startNode(config, log);
  process.send?.({ ready: node.endpoint });
  process.stdout.write(`${JSON.stringify({ ready: true, node: node.id, endpoint: node.endpoint })}\n`);
  flushCompileCache();
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    node.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'the node did not stop in order');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
  // Started by `dev`: ends with the one who started it.
  process.on('disconnect', stop);
}

main().catch((error: unknown) => {
  process.stderr.write(`muster storage-node: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
  process.disconnect?.();
});
