/** The process of one storage node: settings from the environment (and flags given by `muster storage-node start`). */
import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { readFileSync } from 'node:fs';
import { loadConfig, settingNames, type SettingName, type Settings } from './config.ts';
import { createLog } from './log.ts';
import { startNode } from './node.ts';

const options = Object.fromEntries(
  [...Object.keys(settingNames), 'config'].map((name) => [kebab(name), { type: 'string' as const }]),
);

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (char) => `-${char.toLowerCase()}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options, strict: true });
  const flags: Settings = {};
  for (const name of Object.keys(settingNames) as SettingName[]) {
    const value = values[kebab(name)];
    if (typeof value === 'string') flags[name] = value;
  }
  const file =
    typeof values['config'] === 'string' ? (JSON.parse(readFileSync(values['config'], 'utf8')) as Settings) : {};
  const config = loadConfig(flags, process.env, file);
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
