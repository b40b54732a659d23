import { type ErrorCode } from '../../../workflows/engine/errors.ts';
import { type Checksums } from '../../objects/types.ts';
import { type Proof } from './proof.ts';

/** What the target could not take along, by name, e.g. `tags`, `storage class GLACIER`. The bytes are there. */
export type NotCarried = string;

/** What became of one object. Failures of one object are values; what ends the whole run is thrown. */
export type CopyOutcome =
  | {
      kind: 'copied';
      proof: Proof;
      /** Of the source object that was copied in the end. */
      sourceEtag: string;
      writtenAtMs: number;
      sizeBytes: number;
      targetEtag: string;
      targetVersion: string;
      checksums: Checksums;
      notCarried: NotCarried[];
    }
  /** The target has it already. */
  | { kind: 'same'; sourceEtag: string; targetEtag: string }
  /** Nothing was written: the target holds what must not be overwritten. */
  | { kind: 'kept'; why: 'higher-epoch' | 'newer' | 'foreign'; targetEtag: string }
  /** The source has it no longer. */
  | { kind: 'gone' }
  /** The source changed again and again while it was read; a later pass takes it. */
  | { kind: 'changing' }
  /** Its bytes must be restored first. */
  | { kind: 'archived'; restoring: boolean }
  | { kind: 'failed'; code: ErrorCode; message: string };

/** Failures that are nobody's object: they end or pause the run. */
export const runEnding: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TARGET_FULL',
  'BUCKET_UNKNOWN',
  'VERSIONING_SUSPENDED',
  'REPLICATION_FROZEN',
  'LEDGER_CONFLICT',
]);
