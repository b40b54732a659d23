import { z } from 'zod';
import type { Protected, RecoveryPoint } from '../../workflows/engine/protection.ts';
import type { Repository } from '../backup/repository/attach.ts';
import { listSnapshots, matches, type Snapshot } from '../backup/repository/snapshot.ts';

/**
 * What a recovery point says of itself in its snapshot, beside restic's fields. So a vault tells what is in it when the
 * ledger is lost, and an attempt that comes after one that was killed finds what that one had saved.
 */
const aboutSchema = z.looseObject({
  version: z.literal(1),
  runId: z.string(),
  service: z.string(),
  resource: z.string(),
  kind: z.string(),
  site: z.string(),
  status: z.enum(['complete', 'partial']),
  startedAtMs: z.number(),
  takenAtMs: z.number(),
  endedAtMs: z.number(),
  sizeBytes: z.number(),
  addedBytes: z.number(),
  files: z.number(),
  facts: z.record(z.string(), z.json()),
  problems: z.array(z.string()),
  problemCount: z.number(),
});

export type AboutPoint = z.infer<typeof aboutSchema>;

/** Every snapshot of ours carries it; the others of a shared repository are left alone. */
export const musterTag = 'muster';

/** Of whom a snapshot is, as its tags say; stock restic selects by them, too. */
export function tagsOf({ service, resource }: { service: string; resource: string }): string[] {
  return [musterTag, `service:${service}`, `resource:${resource}`];
}

/** What stands for the host: one protected resource, wherever it is read. */
export function hostOf({ service, resource }: { service: string; resource: string }): string {
  return `${service}.${resource}`;
}

/** The recovery point a snapshot is; null for snapshots that are none of ours. */
export function pointOf(vault: string, snapshot: Snapshot): RecoveryPoint | null {
  const parsed = aboutSchema.safeParse(snapshot.muster);
  if (!parsed.success) return null;
  const { version: _version, runId: _runId, ...about } = parsed.data;
  return { ...about, id: `${vault}/${snapshot.id}`, vault, snapshotId: snapshot.id };
}

/** The run that saved a snapshot, or null. */
export function runOf(snapshot: Snapshot): string | null {
  const parsed = aboutSchema.safeParse(snapshot.muster);
  return parsed.success ? parsed.data.runId : null;
}

/** Snapshots of one protected resource, oldest first. */
export async function snapshotsOf(
  repository: Repository,
  { service, resource }: Pick<Protected, 'service' | 'resource'>,
): Promise<Snapshot[]> {
  const tags = tagsOf({ service, resource: resource.name });
  const { snapshots } = await listSnapshots(repository);
  return snapshots.filter((snapshot) => matches(snapshot, { tags }));
}
