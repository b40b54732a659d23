import { MusterError, type ErrorCode } from '../../../workflows/engine/errors.ts';

/** What a server's log tells of a recovery (src/backend/access/transam/xlogrecovery.c; messages in English). */
export interface RecoveryLog {
  /** From here on all files agree. */
  consistentLsn: string | null;
  /** The last record that was replayed begins here. */
  redoDoneLsn: string | null;
  /** Unix milliseconds of the last commit or rollback that was replayed. */
  lastTransactionAtMs: number | null;
  /** Why it stopped where it stopped, in the server's words; `null`: at the end of WAL. */
  stoppedWhy: string | null;
  /** The timeline it went over to. */
  newTimeline: number | null;
  /** Its last words, when it died of it. */
  fatal: string | null;
  /** What it said of the end of WAL, e.g. that a record's checksum is wrong. */
  endOfWal: string | null;
}

export function readRecoveryLog(text: string): RecoveryLog {
  const last = (pattern: RegExp): string | null => [...text.matchAll(pattern)].at(-1)?.[1] ?? null;
  const time = last(/last completed transaction was at log time (.+)$/gm);
  const timeline = last(/selected new timeline ID: (\d+)/g);
  return {
    consistentLsn: last(/consistent recovery state reached at ([0-9A-F]+\/[0-9A-F]+)/g),
    redoDoneLsn: last(/redo done at ([0-9A-F]+\/[0-9A-F]+)/g),
    lastTransactionAtMs:
      time === null ? null : Date.parse(time.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')) || null,
    stoppedWhy: last(/LOG: {2}(recovery stopping .+)$/gm),
    newTimeline: timeline === null ? null : Number(timeline),
    fatal: last(/(?:FATAL|PANIC): {2}(.+)$/gm),
    endOfWal: last(
      /LOG: {2}((?:invalid (?:record length|magic number|resource manager|info bits)|incorrect (?:resource manager data checksum|prev-link)|record with incorrect|unexpected (?:pageaddr|timeline)|there is no contrecord).+)$/gm,
    ),
  };
}

const verdicts: [pattern: RegExp, code: ErrorCode][] = [
  [/recovery ended before configured recovery target was reached/, 'RECOVERY_TARGET_UNREACHABLE'],
  [/requested recovery stop point is before consistent recovery point/, 'RECOVERY_TARGET_UNREACHABLE'],
  [/requested timeline \d+ (is not a child|does not contain)/, 'RECOVERY_TARGET_UNREACHABLE'],
  [/recovery target timeline \d+ does not exist/, 'RECOVERY_TARGET_UNREACHABLE'],
  [/WAL ends before (end of online backup|consistent recovery point)/, 'WAL_GAP'],
  [/could not locate required checkpoint record|could not find redo location/, 'WAL_GAP'],
];

/** What the end of a server that could not recover means for an operator. */
export function recoveryFailure(log: RecoveryLog, what: string): MusterError {
  const said = log.fatal ?? 'the server ended without a word';
  const code = verdicts.find(([pattern]) => pattern.test(said))?.[1] ?? 'RESTORE_FAILED';
  const end = log.endOfWal === null ? '' : `; at the end of WAL: ${log.endOfWal}`;
  return new MusterError(code, `${what}: ${said}${end}`);
}
