/** What looking at a restored server found, as values. */
export interface Finding {
  check: 'connect' | 'amcheck' | 'checksums' | 'rows' | 'sql' | 'canary';
  /** What was looked at: a database, a table, an index, the name of a check. */
  subject: string;
  /** `unknown`: it could not be looked at, which never passes. `noted`: says something, decides nothing. */
  verdict: 'passed' | 'failed' | 'unknown' | 'noted';
  detail: string;
  /** Rows, milliseconds of age: what was measured, where something was. */
  value: number | null;
}

export interface Verification {
  verdict: 'passed' | 'failed' | 'unknown';
  findings: Finding[];
  /** Exact counts of the tables that were asked for. */
  rows: Record<string, number>;
  seconds: number;
}

/** One failure fails it; without one, anything unknown makes it unknown; nothing looked at is unknown, too. */
export function verdictOf(findings: readonly Finding[]): Verification['verdict'] {
  if (findings.some(({ verdict }) => verdict === 'failed')) return 'failed';
  if (findings.some(({ verdict }) => verdict === 'unknown')) return 'unknown';
  return findings.some(({ verdict }) => verdict === 'passed') ? 'passed' : 'unknown';
}

export function finding(
  check: Finding['check'],
  subject: string,
  verdict: Finding['verdict'],
  what: { detail: string; value?: number },
): Finding {
  return { check, subject, verdict, detail: what.detail, value: what.value ?? null };
}

/** What a failed query means: damage or a difference, unless it was ended for taking too long or the server is gone. */
export function failedQuery(
  check: Finding['check'],
  subject: string,
  failure: { message: string; sqlState: string | null },
): Finding {
  const queryCanceled = '57014';
  const isUnknown =
    failure.sqlState === null || failure.sqlState === queryCanceled || failure.sqlState.startsWith('08');
  return finding(check, subject, isUnknown ? 'unknown' : 'failed', { detail: failure.message });
}
