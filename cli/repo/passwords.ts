import { resolvePassword } from '../../activities/backup/repository/password.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { askNewPassword, askPassword, canAsk } from './ask.ts';
import { invalid } from './parse.ts';

export interface PasswordOptions {
  passwordFile?: string;
  passwordCommand?: string;
}

export interface NewPasswordOptions {
  newPasswordFile?: string;
  newPasswordCommand?: string;
}

const variables = ['RESTIC_PASSWORD_COMMAND', 'RESTIC_PASSWORD_FILE', 'RESTIC_PASSWORD'] as const;

/**
 * The password: by option, by restic's environment, else of whoever sits at the terminal.
 * @param isNew it is asked for twice, since it opens nothing yet
 * @throws MusterError SECRET_MISSING, CONFIG_INVALID
 */
export async function repositoryPassword(
  options: PasswordOptions,
  { isNew, signal }: { isNew: boolean; signal: AbortSignal },
): Promise<string> {
  const { passwordFile, passwordCommand } = options;
  if (passwordFile !== undefined && passwordCommand !== undefined) {
    throw invalid('--password-file and --password-command exclude each other: leave one out');
  }
  if (passwordFile !== undefined) return byOption('RESTIC_PASSWORD_FILE', '--password-file', passwordFile);
  if (passwordCommand !== undefined) return byOption('RESTIC_PASSWORD_COMMAND', '--password-command', passwordCommand);
  if (variables.some((name) => process.env[name])) return resolvePassword(undefined);
  if (!canAsk()) {
    const ways = '--password-file FILE, --password-command COMMAND or RESTIC_PASSWORD';
    throw new MusterError('SECRET_MISSING', `no password for the repository, and no terminal to ask on: use ${ways}`);
  }
  return isNew
    ? askNewPassword('password for the new repository', signal)
    : askPassword('password of the repository', signal);
}

/** The one that a key is to be added for. @throws MusterError SECRET_MISSING, CONFIG_INVALID */
export async function newPassword(options: NewPasswordOptions, signal: AbortSignal): Promise<string> {
  const { newPasswordFile: file, newPasswordCommand: command } = options;
  if (file !== undefined && command !== undefined) {
    throw invalid('--new-password-file and --new-password-command exclude each other: leave one out');
  }
  if (command !== undefined) return byOption('RESTIC_PASSWORD_COMMAND', '--new-password-command', command);
  if (file !== undefined) return byOption('RESTIC_PASSWORD_FILE', '--new-password-file', file);
  if (canAsk()) return askNewPassword('new password', signal);
  const ways = '--new-password-file FILE or --new-password-command COMMAND';
  throw new MusterError('SECRET_MISSING', `no new password, and no terminal to ask on: use ${ways}`);
}

/** An option is what the variable is, and counts more; in messages it has its own name. */
async function byOption(variable: (typeof variables)[number], option: string, value: string): Promise<string> {
  const cleared = Object.fromEntries(variables.map((name) => [name, undefined]));
  try {
    return await resolvePassword(undefined, { ...process.env, ...cleared, [variable]: value });
  } catch (err) {
    if (!(err instanceof MusterError)) throw err;
    throw new MusterError(err.code, err.message.replaceAll(variable, option), { cause: err });
  }
}
