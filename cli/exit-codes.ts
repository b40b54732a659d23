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
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesHelp = `
Exit codes:
  0  done, and every objective was met
  1  failed
  2  wrong usage, estate, runbook or configuration: nothing was started
  3  done, but an objective was missed or is unknown
  4  waits for a person`;
