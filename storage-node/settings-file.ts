/** The file of `--config`: one JSON object whose keys are settings. */
import { StorageError } from './errors.ts';
import { allSettings, numberSettings, type SettingName, settingNames, type Settings } from './setting-names.ts';
import { readText } from './text-file.ts';

/** What a settings file says, and what is wrong with it. */
export interface CheckedFile {
  name: string;
  values: Settings;
  /** Keys that are settings but whose values are of the wrong type. */
  wrong: ReadonlySet<SettingName>;
  problems: string[];
}

/** @throws StorageError InvalidArgument with the file's name; never shows what is in it, for that may be a secret. */
export function readSettingsFile(file: string): unknown {
  const read = readText(file);
  if ('why' in read) throw new StorageError('InvalidArgument', `--config names ${file}, which ${read.why}`);
  try {
    return JSON.parse(read.text) as unknown;
  } catch (error) {
    // The message of the parser quotes the text around the place; only the place is repeated.
    const place = /\(line \d+ column \d+\)/.exec(String(error))?.[0] ?? '';
    const fix = 'keys and texts stand in double quotes, and no comma stands behind the last';
    throw new StorageError('InvalidArgument', `--config names ${file}, which is no JSON ${place}: ${fix}`);
  }
}

/** Judges keys and types; whether the values make sense is judged with those from elsewhere. */
export function checkSettings(content: unknown, name: string): CheckedFile {
  const checked = { name, values: {} as Settings, wrong: new Set<SettingName>(), problems: [] as string[] };
  if (typeOf(content) !== 'an object') {
    checked.problems.push(
      `${name} must hold one JSON object, such as {"region": "us-east-1"}; it is ${typeOf(content)}`,
    );
    return checked;
  }
  for (const [key, value] of Object.entries(content as object)) {
    if (!isSetting(key)) checked.problems.push(`${name}: "${key}" is no setting; ${proposalFor(key)}`);
    else if (typeof value === wantedType(key)) checked.values[key] = String(value);
    else {
      checked.wrong.add(key);
      checked.problems.push(`${name}: "${key}" must be ${wanted(key)}; it is ${typeOf(value)}`);
    }
  }
  return checked;
}

const isSetting = (key: string): key is SettingName => Object.hasOwn(settingNames, key);
const isNumber = (name: SettingName): name is keyof typeof numberSettings => Object.hasOwn(numberSettings, name);

function wantedType(name: SettingName): 'boolean' | 'number' | 'string' {
  if (name === 'plainRpc') return 'boolean';
  return isNumber(name) ? 'number' : 'string';
}

function wanted(name: SettingName): string {
  if (name === 'plainRpc') return 'true or false, without quotes';
  return isNumber(name) ? `a number without quotes, such as ${numberSettings[name].usual}` : 'a text in double quotes';
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return { string: 'a text', number: 'a number', boolean: 'true or false', object: 'an object' }[
    typeof value as string
  ]!;
}

/** What was most likely meant; also for a key written as a flag or a variable. A third of the letters may differ. */
function proposalFor(key: string): string {
  const word = lettersOf(key);
  const near = allSettings
    .flatMap((name) => [name, settingNames[name]].map((as) => ({ name, as: lettersOf(as) })))
    .map(({ name, as }) => ({ name, distance: editDistance(word, as), length: Math.max(word.length, as.length) }))
    .filter(({ distance, length }) => distance <= length / 3)
    .sort((a, b) => a.distance - b.distance)[0];
  return near === undefined ? `the settings are ${allSettings.join(', ')}` : `did you mean "${near.name}"?`;
}

function lettersOf(name: string): string {
  // Longer than any setting is like none of them, however long it is.
  return name
    .slice(0, 60)
    .toLowerCase()
    .replace(/[^a-z]/g, '')
    .replace(/^muster/, '');
}

/** How many letters must be put in, taken out or changed (Levenshtein). */
function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const line = [row];
    for (let column = 1; column <= b.length; column++) {
      const changed = above[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      line.push(Math.min(changed, above[column]! + 1, line[column - 1]! + 1));
    }
    above = line;
  }
  return above[b.length]!;
}
