import { MusterError } from '../../../workflows/engine/errors.ts';
import { parseLsn } from '../../drivers/postgres/lsn.ts';

/** Where recovery ends. */
export type RecoveryTarget = {
  /** Which branch of history; `latest`: the newest one that can be reached. */
  timeline: number | 'latest';
} & (
  | /** All WAL there is. */ { kind: 'latest' }
  | /** As soon as the base backup is consistent. */ { kind: 'immediate' }
    /** Every transaction that committed up to then (`isExclusive`: before then). Unix milliseconds. */
  | { kind: 'time'; atMs: number; isExclusive?: boolean }
  | { kind: 'lsn'; lsn: string; isExclusive?: boolean }
  /** A mark made with `pg_create_restore_point`. */
  | { kind: 'name'; name: string }
);

/** The settings that make PostgreSQL stop there (its documentation, "Recovery Target"). `timeline` as it was resolved. */
export function targetSettings(target: RecoveryTarget, timeline: number): Record<string, string> {
  const common = { recovery_target_timeline: String(timeline) };
  switch (target.kind) {
    case 'latest':
      return common;
    case 'immediate':
      return { ...common, recovery_target: 'immediate' };
    case 'time':
      return {
        ...common,
        recovery_target_time: timeText(target.atMs),
        recovery_target_inclusive: target.isExclusive === true ? 'off' : 'on',
      };
    case 'lsn':
      if (parseLsn(target.lsn) === null) throw new MusterError('CONFIG_INVALID', `${target.lsn} is no position in WAL`);
      return {
        ...common,
        recovery_target_lsn: target.lsn,
        recovery_target_inclusive: target.isExclusive === true ? 'off' : 'on',
      };
    case 'name':
      return { ...common, recovery_target_name: target.name };
  }
}

/** With its offset, so that no setting of a time zone can change it. */
function timeText(atMs: number): string {
  return `${new Date(atMs).toISOString().replace('T', ' ').replace('Z', '')}+00`;
}

export function describeTarget(target: RecoveryTarget): string {
  const on = target.timeline === 'latest' ? '' : ` on timeline ${target.timeline}`;
  switch (target.kind) {
    case 'latest':
      return `the latest state${on}`;
    case 'immediate':
      return `the end of the base backup${on}`;
    case 'time':
      return `${new Date(target.atMs).toISOString()}${on}`;
    case 'lsn':
      return `${target.lsn}${on}`;
    case 'name':
      return `the restore point ${target.name}${on}`;
  }
}
