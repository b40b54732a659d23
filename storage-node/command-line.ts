import { parseArgs } from 'node:util';
import { loadConfig, type NodeConfig } from './config.ts';
import { allSettings, flagOf, type Settings } from './setting-names.ts';
import { readSettingsFile } from './settings-file.ts';

/** The settings of a node from its command line and what that leads to. @throws StorageError as `loadConfig` does. */
export function configFromArgs(args: readonly string[], env: NodeJS.ProcessEnv): NodeConfig {
  const options = Object.fromEntries(
    [...allSettings.map((name) => flagOf(name).slice(2)), 'config'].map((flag) => [flag, { type: 'string' as const }]),
  );
  const { values } = parseArgs({ args: [...args], options, strict: true });
  const flags: Settings = {};
  for (const name of allSettings) {
    const value = values[flagOf(name).slice(2)];
    if (value !== undefined) flags[name] = value;
  }
  const file = values['config'];
  return file === undefined ? loadConfig(flags, env) : loadConfig(flags, env, readSettingsFile(file), file);
}
