import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ReplicationStatus } from '../../../../workflows/engine/replication.ts';
import { replicationDir } from './home.ts';

export type { ReplicationPhase, ReplicationStatus } from '../../../../workflows/engine/replication.ts';

/** What is left of a status when nothing is known. */
export const unknownFigures = {
  ...{ oldestPendingAgeSeconds: null, backlogObjects: null, backlogBytes: null, verifiedWatermarkMs: null },
  ...{ drainRate: null, etaSeconds: null, failed: null, foreign: null, cursor: null },
} as const satisfies Partial<ReplicationStatus>;

/** A status that was not renewed for so long says nothing about now, milliseconds. */
const freshMs = 5_000;

const fileOf = (directory: string): string => path.join(directory, 'figures.json');

export function writeStatus(directory: string, status: ReplicationStatus): void {
  mkdirSync(directory, { recursive: true });
  const file = fileOf(directory);
  writeFileSync(`${file}.new`, JSON.stringify(status));
  renameSync(`${file}.new`, file);
}

/**
 * The figures of a resource's replication, for metrics, verbs and commands on the machine that replicates. Undefined when
 * nothing ever ran here; a status that is old keeps its names and loses its figures.
 */
export function replicationFigures(
  stateDir: string,
  service: string,
  resource: string,
  nowMs = Date.now(),
): ReplicationStatus | undefined {
  let status: ReplicationStatus;
  try {
    status = JSON.parse(readFileSync(fileOf(replicationDir(stateDir, service, resource)), 'utf8')) as ReplicationStatus;
  } catch {
    return undefined;
  }
  return freshOrUnknown(status, nowMs);
}

export function freshOrUnknown(status: ReplicationStatus, nowMs: number): ReplicationStatus {
  const ageMs = nowMs - status.atMs;
  if (ageMs <= freshMs && ageMs >= -freshMs) return status;
  return {
    ...status,
    ...unknownFigures,
    why: `the replication last told of itself ${(ageMs / 1_000).toFixed(0)} s ago`,
  };
}
