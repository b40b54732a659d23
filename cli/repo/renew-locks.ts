import { renewLocks as renew, type RenewLocksResult } from '../../activities/backup/engine/renew-locks.ts';
import { MusterError } from '../../workflows/engine/errors.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import type { Body, RepoOptions, Session } from './action.ts';
import { countOf, formatCount, formatElapsed, formatTime, printable } from '../format.ts';
import { parseChoice, parseDuration } from './parse.ts';
import { withRepository } from './session.ts';
import { WorkStatus } from './status.ts';

export interface RenewLocksFlags extends RepoOptions {
  for: string;
  mode: string;
  askAll?: boolean;
}

/** Locks what snapshots need in a bucket with object lock for so long from now on. */
export const renewLocks: Body<RenewLocksFlags> = async (session, flags) => {
  const untilMs = Date.now() + parseDuration('--for', flags.for);
  const mode = parseChoice('--mode', flags.mode.toUpperCase(), ['COMPLIANCE', 'GOVERNANCE']);
  return withRepository(session, 'shared', async ({ repository, signal }) => {
    session.whenStopped = 'what was locked stays locked; run the same command again to go on';
    const status = new WorkStatus();
    const result = await renew({
      ...{ repository, untilMs, mode, signal, askAll: flags.askAll === true },
      onProgress: ({ files, ofFiles, renewed }) =>
        session.screen.progress(() =>
          status.of({
            what: `${formatCount(files)} of ${countOf(ofFiles, 'file')}`,
            ...{ bytes: 0, totalBytes: null, problems: 0 },
            fields: { files_done: files, total_files: ofFiles, files_renewed: renewed },
          }),
        ),
    });
    return tell(session, result);
  });
};

function tell(
  { screen }: Session,
  { kind, files, renewed, asked, missing, untilMs, seconds }: RenewLocksResult,
): ExitCode {
  for (const one of missing) screen.problem(one, 'is missing or cannot be read', { during: 'renew-locks' });
  const until = new Date(untilMs).toISOString();
  if (screen.json) {
    screen.value({
      ...{ message_type: 'summary', kind, files, files_renewed: renewed, files_asked: asked },
      ...{ files_missing: missing.length, locked_until: until, total_duration: seconds },
    });
  }
  screen.remark(
    `${countOf(files - missing.length, 'file')} locked until ${formatTime(until)} or longer, ` +
      `${formatCount(renewed)} of them made longer, in ${formatElapsed(seconds)}`,
  );
  if (kind === 'renewed') return exitCodes.met;
  const what = `${countOf(missing.length, 'file')} that snapshots need`;
  throw new MusterError('REPOSITORY_DAMAGED', `${what} could not be locked: ${printable(missing[0] ?? '')}`);
}
