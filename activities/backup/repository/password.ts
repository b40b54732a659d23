import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { resolveReference } from '../../references.ts';

const commandLimitMs = 60_000;

/**
 * The password of a repository. With a reference (`env:NAME`, `file:/path`, or `command:…` for what asks a key service
 * and prints the answer) that is the one; without, restic's own
 * environment is asked as restic asks it: RESTIC_PASSWORD_COMMAND, then RESTIC_PASSWORD_FILE, then RESTIC_PASSWORD.
 * The value is for opening the repository and for nothing else: it never enters messages, logs or arguments.
 * @throws MusterError SECRET_MISSING naming where it was looked for; CONFIG_INVALID for settings that contradict
 */
export async function resolvePassword(
  reference: string | undefined,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  if (reference !== undefined) {
    if (/^(env|file):/.test(reference)) return resolveReference(reference, env);
    if (reference.startsWith('command:')) {
      return given(
        await fromCommand(reference.slice('command:'.length), env, 'command:…'),
        'the command printed nothing',
      );
    }
    const ways = 'env:NAME, file:/path or command:PROGRAM ARGUMENTS';
    throw new MusterError('CONFIG_INVALID', `the password of a repository must be a reference: ${ways}`);
  }
  const { RESTIC_PASSWORD_COMMAND: command, RESTIC_PASSWORD_FILE: path, RESTIC_PASSWORD: value } = env;
  if (command && path) {
    throw new MusterError('CONFIG_INVALID', 'RESTIC_PASSWORD_COMMAND and RESTIC_PASSWORD_FILE are both set: unset one');
  }
  if (command)
    return given(
      await fromCommand(command, env, 'RESTIC_PASSWORD_COMMAND'),
      'the command of RESTIC_PASSWORD_COMMAND printed nothing',
    );
  if (path) return given(await fromFile(path), 'the file of RESTIC_PASSWORD_FILE is empty');
  const hint = 'no password for the repository: name one by env:NAME or file:/path, or set RESTIC_PASSWORD_FILE';
  return given(value ?? '', hint);
}

function given(password: string, otherwise: string): string {
  if (password === '') throw new MusterError('SECRET_MISSING', otherwise);
  return password;
}

async function fromFile(path: string): Promise<string> {
  try {
    return decode(await readFile(path)).trim();
  } catch (err) {
    throw new MusterError('SECRET_MISSING', `the file ${path} of RESTIC_PASSWORD_FILE cannot be read`, { cause: err });
  }
}

/** Text as editors save it: UTF-8, or what a byte order mark says. */
function decode(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  return new TextDecoder().decode(bytes);
}

async function fromCommand(command: string, env: NodeJS.ProcessEnv, where: string): Promise<string> {
  const [file, ...args] = splitCommand(command);
  try {
    const { stdout } = await promisify(execFile)(file ?? '', args, { env, timeout: commandLimitMs });
    return stdout.trim();
  } catch {
    // Neither the command's output nor its arguments belong in a message: both may hold the secret.
    throw new MusterError('SECRET_MISSING', `the command of ${where} failed`);
  }
}

/** Words as a shell divides them, with quotes and nothing else that a shell does. */
export function splitCommand(command: string): string[] {
  const words = command.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g);
  return [...words].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double ?? ''),
  );
}
