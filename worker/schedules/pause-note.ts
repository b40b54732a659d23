/** Notes by which a failover finds again what it has paused. People write others. */

export interface FailoverPause {
  runId: string;
  service: string;
}

/** `paused by failover <runId> of <service>: …` */
export function failoverNote({ runId, service }: FailoverPause, why: string): string {
  return `paused by failover ${runId} of ${service}: ${why}`;
}

/** Which failover has paused a schedule; null when somebody else has. */
export function readFailoverNote(note: string): FailoverPause | null {
  const match = /^paused by failover (\S+) of (\S+): /.exec(note);
  const [, runId, service] = match ?? [];
  return runId === undefined || service === undefined ? null : { runId, service };
}
