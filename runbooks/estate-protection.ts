import type { ObjectReferences, ProofChecks, Retention, Vault } from '../workflows/engine/protection.ts';
import { spanSeconds } from './intervals.ts';
import type { BackupFile, RestoreTestFile, VaultFile } from './protection-schema.ts';

/** A vault and what is done to keep it good. */
export interface EstateVault extends Vault {
  /** When what no backup keeps is removed; null where the estate does not say. */
  prune: string | null;
  copy: { to: string; every: string } | null;
}

export interface BackupPolicy {
  resource: string;
  /** An interval of the estate: `6h`, `daily`. */
  every: string;
  /** `02:30`, UTC; null where the estate does not say. */
  at: string | null;
  /** `{}` keeps everything. */
  keep: Retention;
  /** Name of a vault. */
  to: string;
  restoreTest: RestoreTestPolicy | null;
  wal: 'stream' | 'synchronous' | null;
  jitterSeconds: number | null;
  catchUpSeconds: number | null;
  /** How its rows name objects of buckets. */
  references: ObjectReferences[];
}

export interface RestoreTestPolicy {
  every: string;
  at: string | null;
  point: 'newest' | 'random';
  target: 'point' | 'latest';
  checks: ProofChecks;
}

export interface DrillPolicy {
  every: string;
  kind: 'isolated' | 'live';
}

export function buildVault(name: string, file: VaultFile): EstateVault {
  const { repository, password, site, verifyWithin, lock, prune, copyTo, copyEvery } = file;
  return {
    name,
    repository,
    password,
    site: site ?? null,
    verifyWithinSeconds: secondsOf(verifyWithin),
    lockSeconds: secondsOf(lock),
    prune: prune ?? null,
    copy: copyTo === undefined ? null : { to: copyTo, every: copyEvery ?? 'daily' },
  };
}

export function buildBackup(file: BackupFile): BackupPolicy {
  const { resource, every, at, keep, to, restoreTest, wal, jitter, catchUp, references = [] } = file;
  return {
    resource,
    every,
    at: at ?? null,
    keep: (keep ?? {}) as Retention,
    to,
    restoreTest: restoreTest === undefined ? null : buildRestoreTest(restoreTest),
    wal: wal ?? null,
    jitterSeconds: secondsOf(jitter),
    catchUpSeconds: secondsOf(catchUp),
    references: references as ObjectReferences[],
  };
}

function buildRestoreTest(file: string | RestoreTestFile): RestoreTestPolicy {
  if (typeof file === 'string') return { every: file, at: null, point: 'newest', target: 'point', checks: {} };
  return { ...file, at: file.at ?? null, checks: file.checks as ProofChecks };
}

function secondsOf(span: string | undefined): number | null {
  return span === undefined ? null : spanSeconds(span);
}
