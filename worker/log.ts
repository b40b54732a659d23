import pino from 'pino';

export type Log = pino.Logger;

/** Keys whose values never reach a log line, at any depth a line of ours has. */
const secretKeys = ['token', 'password', 'authorization', 'url', 'replicationUrl'];

/** JSON lines on stderr; stdout is left to answers meant for programs. */
export function createLog(name: string, level = 'info'): Log {
  const paths = secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);
  return pino({ name, level, redact: { paths, censor: '[secret]' } }, pino.destination({ dest: 2, sync: true }));
}
