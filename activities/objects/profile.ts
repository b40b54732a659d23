import { readFileSync, statSync } from 'node:fs';
import { MusterError } from '../../workflows/engine/errors.ts';
import { type ObjectCredentials } from './place.ts';

/** Sections of a file of the `aws` command: settings by lower-case name. Nested settings are joined by a dot. */
export type IniSections = ReadonlyMap<string, ReadonlyMap<string, string>>;

/**
 * Reads the format of `~/.aws/credentials` and `~/.aws/config`: sections, `name = value`, comments by `#` or `;`, and
 * settings nested by indentation (`s3 =` with `addressing_style = path` below it becomes `s3.addressing_style`).
 */
export function parseIni(text: string): IniSections {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  let parent = '';
  for (const line of text.split(/\r?\n/)) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#') || trimmed.startsWith(';')) continue;
    const header = /^\[\s*(.+?)\s*\]/.exec(trimmed);
    if (header !== null) {
      section = sections.get(header[1]!) ?? new Map<string, string>();
      sections.set(header[1]!, section);
      parent = '';
      continue;
    }
    const equals = trimmed.indexOf('=');
    if (equals <= 0 || section === undefined) continue;
    const name = trimmed.slice(0, equals).trim().toLowerCase();
    // A comment behind a value begins with white space and its sign.
    const value = trimmed
      .slice(equals + 1)
      .replace(/\s[#;].*$/, '')
      .trim();
    const nested = /^\s/.test(line) && parent !== '';
    section.set(nested ? `${parent}.${name}` : name, value);
    if (!nested) parent = value === '' ? name : '';
  }
  return sections;
}

export interface ProfileFiles {
  profile: string;
  credentialsFile: string;
  configFile: string;
}

/** What both files say about a profile; undefined when neither names it. */
export function readProfile(files: ProfileFiles): ReadonlyMap<string, string> | undefined {
  const { profile } = files;
  const fromConfig = sectionsOf(files.configFile).get(profile === 'default' ? 'default' : `profile ${profile}`);
  const fromCredentials = sectionsOf(files.credentialsFile).get(profile);
  if (fromConfig === undefined && fromCredentials === undefined) return undefined;
  return new Map([...(fromConfig ?? []), ...(fromCredentials ?? [])]);
}

function sectionsOf(file: string): IniSections {
  try {
    return parseIni(readFileSync(file, 'utf8'));
  } catch (err) {
    if (err instanceof Error && 'code' in err && err.code === 'ENOENT') return new Map();
    const why = err instanceof Error && 'code' in err ? String(err.code) : 'unreadable';
    throw new MusterError('CONFIG_INVALID', `${file} cannot be read (${why}): make it readable for this user`);
  }
}

/** When either file was last changed, Unix milliseconds; 0 where there is none. */
export function changedAtMs({ credentialsFile, configFile }: ProfileFiles): number {
  const times = [credentialsFile, configFile].map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return Math.max(...times);
}

/** Ways to get keys that need a service or a program asked: said by name instead of a puzzling refusal later. */
const notRead = ['role_arn', 'credential_process', 'sso_session', 'sso_start_url', 'web_identity_token_file'];

/** @throws MusterError SECRET_MISSING, naming the profile and what it lacks. */
export function credentialsOf(files: ProfileFiles): ObjectCredentials {
  const settings = readProfile(files);
  const where = `profile ${files.profile} in ${files.credentialsFile}`;
  const accessKeyId = settings?.get('aws_access_key_id');
  const secretAccessKey = settings?.get('aws_secret_access_key');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const other = notRead.find((name) => settings?.has(name) === true);
    const why =
      other === undefined
        ? 'has no aws_access_key_id and aws_secret_access_key'
        : `gets its keys by ${other}, which is not read here: export them, e.g. with \`aws configure export-credentials\``;
    throw new MusterError('SECRET_MISSING', `${where} ${why}`);
  }
  const sessionToken = settings?.get('aws_session_token');
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}
