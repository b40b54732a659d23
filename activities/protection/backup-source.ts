import { MusterError } from '../../workflows/engine/errors.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';
import type { Protected } from '../../workflows/engine/protection.ts';
import type { BackupCounts } from '../backup/engine/backup-result.ts';
import type { StreamEntry } from '../backup/engine/stream-entry.ts';
import { openBaseBackup } from '../backup/postgres/base-backup.ts';
import { bucketEntries } from '../backup/source/bucket.ts';
import { baseBackupEntries, basePaths } from '../backup/source/postgres.ts';
import { urlOf } from '../drivers/postgres/config.ts';
import { openBucketAt } from './bucket-place.ts';

/** A resource as something that can be saved. */
export interface BackupSource extends AsyncDisposable {
  entries: AsyncIterable<StreamEntry>;
  /** What the snapshot is a backup of, in place of paths. */
  paths: readonly string[];
  /** What there is to read, as far as it is known. */
  totalBytes(): number | null;
  /** Known when all entries were read. `takenAtMs`: the moment whose state was saved, Unix milliseconds. */
  facts(counts: BackupCounts): { takenAtMs: number; facts: JsonObject };
}

/**
 * Opens what is to be saved.
 * @throws MusterError CONFIG_INVALID for kinds that cannot be saved; DATABASE_UNREACHABLE, SECRET_MISSING, ...
 */
export async function openSource(of: Protected, { signal }: { signal: AbortSignal }): Promise<BackupSource> {
  switch (of.resource.driver) {
    case 'postgres':
      return openPostgres(of, signal);
    case 'bucket':
      return openBucket(of, signal);
    default: {
      const { name, driver } = of.resource;
      throw new MusterError('CONFIG_INVALID', `${of.service}/${name}: resources of driver ${driver} are not backed up`);
    }
  }
}

async function openPostgres({ resource, site }: Protected, signal: AbortSignal): Promise<BackupSource> {
  let total: number | null = null;
  const backup = await openBaseBackup({
    ...{ url: urlOf(resource, site), name: 'muster_backup', wal: 'included', signal },
    onProgress: ({ totalBytes }) => (total = totalBytes),
  });
  return {
    entries: baseBackupEntries(backup),
    paths: basePaths,
    totalBytes: () => total,
    facts: () => {
      const { endedAtMs, postgresMajor, systemId, timeline, startLsn, endLsn, bytes, files } = backup.facts();
      return {
        takenAtMs: endedAtMs,
        facts: { postgresMajor, systemId, timeline, startLsn, endLsn, bytes, files },
      };
    },
    [Symbol.asyncDispose]: () => backup[Symbol.asyncDispose](),
  };
}

async function openBucket({ resource, site }: Protected, signal: AbortSignal): Promise<BackupSource> {
  const client = await openBucketAt(resource, site, signal);
  const takenAtMs = Date.now();
  return {
    entries: bucketEntries({ client, signal }),
    paths: [`/${client.bucket}`],
    totalBytes: () => null,
    facts: ({ filesNew, filesChanged, filesUnmodified }) => ({
      takenAtMs,
      facts: { bucket: client.bucket, objects: filesNew + filesChanged + filesUnmodified },
    }),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
