/** Where the value of each setting of a node comes from. */
import { type CheckedFile } from './settings-file.ts';
import { flagOf, type SettingName, settingNames, type Settings } from './setting-names.ts';
import { readText } from './text-file.ts';

/** The settings of one start, with everything that is wrong with them gathered on the way. */
export interface SettingsReader {
  /** The value's text: the flag's, else the environment's, else the file's. */
  of(name: SettingName): string | undefined;
  /** Whether there is a value that could not be read, so that nothing may be concluded from its absence. */
  unread(name: SettingName): boolean;
  /**
   * Says what is wrong with a setting, called by its flag, its variable, and the file its value came from. Says nothing
   * when the value could not even be read, for that was said before.
   */
  tell(name: SettingName, what: string): void;
  /** Runs what may throw; the message of the error is one more problem. */
  attempt<T>(run: () => T): T | undefined;
  readonly problems: readonly string[];
}

interface Found {
  text?: string;
  /** Put behind the variable's name, where that alone does not lead to the value. */
  place?: string;
  /** There is a value, but it could not be taken. */
  unread?: true;
}

export function readSettings(flags: Settings, env: NodeJS.ProcessEnv, file: CheckedFile): SettingsReader {
  const problems = [...file.problems];
  const met = new Map<SettingName, Found>();
  const find = (name: SettingName): Found => {
    const known = met.get(name);
    if (known !== undefined) return known;
    const flag = flags[name];
    const found =
      flag === undefined ? (fromEnv(env, settingNames[name], problems) ?? fromFile(file, name)) : { text: flag };
    met.set(name, found);
    return found;
  };
  const called = (name: SettingName): string => `${flagOf(name)} (${settingNames[name]}${find(name).place ?? ''})`;
  return {
    problems,
    of: (name) => find(name).text,
    unread: (name) => find(name).unread === true,
    tell(name, what) {
      if (find(name).unread !== true) problems.push(`${called(name)} ${what}`);
    },
    attempt(run) {
      try {
        return run();
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error));
        return undefined;
      }
    },
  };
}

/** A variable, or the content of the file that `NAME_FILE` names. An empty variable is none. */
function fromEnv(env: NodeJS.ProcessEnv, name: string, problems: string[]): Found | undefined {
  const value = env[name];
  if (value !== undefined && value !== '') return { text: value };
  const file = env[`${name}_FILE`];
  if (file === undefined || file === '') return undefined;
  const read = readText(file);
  if ('text' in read) return { text: read.text.trim(), place: '_FILE' };
  problems.push(`${name}_FILE names ${file}, which ${read.why}`);
  return { unread: true };
}

function fromFile(file: CheckedFile, name: SettingName): Found {
  if (file.wrong.has(name)) return { unread: true };
  const text = file.values[name];
  return text === undefined ? {} : { text, place: `, "${name}" in ${file.name}` };
}
