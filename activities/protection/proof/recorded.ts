import type { JsonObject } from '../../../workflows/engine/plan.ts';
import type { ProofFinding, RecoveryPoint } from '../../../workflows/engine/protection.ts';
import type { Snapshot } from '../../backup/repository/snapshot.ts';
import { pointOf, tagsOf } from '../points.ts';
import { failed, passed } from './finding.ts';

/**
 * Compares what the ledger has recorded of a point with what its snapshot says of itself and what it lists: the snapshot
 * of another resource, one that points to another tree and one that was not saved to its end are told by that. Pure.
 */
export function compareRecorded(
  point: RecoveryPoint,
  snapshot: Snapshot,
  listed: { files: number; bytes: number },
): ProofFinding {
  const differences = [
    ...ownerDifferences(point, snapshot),
    ...differencesOf('recorded', { files: point.files, bytes: point.sizeBytes }, listed),
    ...differencesOf('its snapshot says', summaryOf(snapshot), listed),
  ];
  const about = { check: 'recorded', subject: point.id };
  if (differences.length > 0) return failed({ ...about, detail: differences.join('; ') });
  return passed({ ...about, detail: `it lists ${listed.files} files of ${listed.bytes} bytes, as was recorded` });
}

function ownerDifferences(point: RecoveryPoint, snapshot: Snapshot): string[] {
  const missing = tagsOf(point).filter((tag) => snapshot.tags?.includes(tag) !== true);
  // What others saved, and is recorded all the same, has no tags of ours; tags of another are another's.
  const isOthers = missing.length > 0 && snapshot.tags?.some((tag) => /^(service|resource):/.test(tag)) === true;
  const own = pointOf(point.vault, snapshot);
  return [
    ...(isOthers ? [`the snapshot is of ${snapshot.tags?.join(', ')}`] : []),
    ...(own !== null && own.status !== point.status
      ? [`the snapshot is ${own.status}, recorded is ${point.status}`]
      : []),
    ...(own !== null && own.kind !== point.kind ? [`the snapshot is of a ${own.kind}, recorded is ${point.kind}`] : []),
    ...(own === null ? [] : factDifferences(point.facts, own.facts)),
    ...(point.status === 'complete' && point.problemCount > 0
      ? [`it was recorded as complete with ${point.problemCount} problems`]
      : []),
  ];
}

/** Facts that both have and that are not the same. */
export function factDifferences(recorded: JsonObject, found: JsonObject): string[] {
  return Object.keys(recorded)
    .filter((name) => found[name] !== undefined && JSON.stringify(found[name]) !== JSON.stringify(recorded[name]))
    .map((name) => `${name} is ${JSON.stringify(found[name])}, recorded is ${JSON.stringify(recorded[name])}`);
}

interface Totals {
  files: number;
  bytes: number;
}

function summaryOf({ summary }: Snapshot): Totals | null {
  if (summary === null || typeof summary !== 'object') return null;
  const { total_files_processed: files, total_bytes_processed: bytes } = summary as Record<string, unknown>;
  return typeof files === 'number' && typeof bytes === 'number' ? { files, bytes } : null;
}

function differencesOf(who: string, told: Totals | null, found: Totals): string[] {
  if (told === null || (told.files === found.files && told.bytes === found.bytes)) return [];
  return [`it lists ${found.files} files of ${found.bytes} bytes, ${who} ${told.files} of ${told.bytes}`];
}
