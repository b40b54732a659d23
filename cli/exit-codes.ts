/** Exit codes of every command; `muster --help` prints them. */
export const exitCodes = {
  met: 0,
  failed: 1,
  usage: 2,
  objectivesMissed: 3,
  /** `repo`: done, but something of the source is missing. */
  partial: 3,
  needsPerson: 4,
} as const;
/** Stopped by a signal before its end: 128 and the number of the signal, as a shell shows it. */
export type SignalExit = 129 | 130 | 141 | 143;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes] | SignalExit;

export const exitCodesHelp = `
Exit codes:
  0  done, and every objective was met
  1  failed
  2  wrong usage, estate, runbook or configuration: nothing was started
  3  done, but an objective was missed or is unknown
  4  waits for a person`;
