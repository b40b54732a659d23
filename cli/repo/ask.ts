import { MusterError } from '../../workflows/engine/errors.ts';

/** Whether there is a person to ask. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/**
 * Asks for a password on the terminal; nothing of it is shown.
 * @throws what the signal was aborted with; MusterError SECRET_MISSING when the answer is empty
 */
export async function askPassword(question: string, signal: AbortSignal): Promise<string> {
  const { stdin } = process;
  // Before the question: whoever answers at once must not see the answer.
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  process.stderr.write(`${question}: `);
  try {
    const answer = await readHidden(signal);
    if (answer === '') throw new MusterError('SECRET_MISSING', 'no password was given');
    return answer;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    process.stderr.write('\n');
  }
}

/** Twice, since nobody saw what was typed. @throws MusterError CONFIG_INVALID when the two differ */
export async function askNewPassword(question: string, signal: AbortSignal): Promise<string> {
  const first = await askPassword(question, signal);
  if ((await askPassword(`${question}, once more`, signal)) === first) return first;
  throw new MusterError('CONFIG_INVALID', 'the two passwords differ; nothing was changed');
}

/** Keys that a terminal in raw mode leaves to us. */
const keys = { interrupt: '\u0003', end: '\u0004', eraseLine: '\u0015' } as const;

function readHidden(signal: AbortSignal): Promise<string> {
  const { stdin } = process;
  return new Promise((resolve, reject) => {
    let typed = '';
    const stop = (): void => {
      stdin.off('data', take);
      signal.removeEventListener('abort', abort);
    };
    const abort = (): void => {
      stop();
      reject(signal.reason as Error);
    };
    const take = (text: string): void => {
      for (const character of text) {
        if (character === '\r' || character === '\n' || character === keys.end) {
          stop();
          return resolve(typed);
        }
        if (character === keys.interrupt) process.kill(process.pid, 'SIGINT');
        else if (character === keys.eraseLine) typed = '';
        else if (character === '\u007f' || character === '\b') typed = typed.replace(/.$/su, '');
        else if (character >= ' ') typed += character;
      }
    };
    stdin.on('data', take);
    signal.addEventListener('abort', abort);
    stdin.resume();
  });
}
