import { MusterError } from '../../workflows/engine/errors.ts';
import type { JsonObject } from '../../workflows/engine/plan.ts';
import type { Protected } from '../../workflows/engine/protection.ts';
import type { BackupResult } from '../backup/engine/backup.ts';
import type { BackupCounts } from '../backup/engine/backup-result.ts';
import { saveStream, type SaveStreamOptions } from '../backup/engine/save-stream.ts';
import { openBaseBackup } from '../backup/postgres/base-backup.ts';
import { bucketEntries } from '../backup/source/bucket.ts';
import { baseBackupEntries, basePaths } from '../backup/source/postgres.ts';
import { urlOf } from '../drivers/postgres/config.ts';
import { openBucketAt } from '../drivers/bucket/place.ts';
import { planTags } from './bucket-tags.ts';
import { openDirectory } from './directory-source.ts';
import { pointOf } from './points.ts';

/** How it is saved, whatever it is. */
export type SavingOptions = Omit<SaveStreamOptions, 'entries' | 'paths'>;

/** A resource as something that can be saved. */
export interface BackupSource extends AsyncDisposable {
  /** Saves it as one snapshot. The caller holds a lock of the repository. */
  save(options: SavingOptions): Promise<BackupResult>;
  /** What there is to read, as far as it is known. */
  totalBytes(): number | null;
  /** Known when all entries were read. `takenAtMs`: the moment whose state was saved, Unix milliseconds. */
  facts(counts: BackupCounts): { takenAtMs: number; facts: JsonObject };
}

/**
 * Opens what is to be saved.
 * @throws MusterError CONFIG_INVALID for kinds that cannot be saved; DATABASE_UNREACHABLE, SOURCE_UNREADABLE,
 * SECRET_MISSING, ...
 */
export async function openSource(of: Protected, { signal }: { signal: AbortSignal }): Promise<BackupSource> {
  switch (of.resource.driver) {
    case 'postgres':
      return openPostgres(of, signal);
    case 'bucket':
      return openBucket(of, signal);
    case 'directory':
      return openDirectory(of);
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
    save: (options) => saveStream({ ...options, entries: baseBackupEntries(backup), paths: basePaths }),
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
  let tagFacts: JsonObject = {};
  return {
    async save(options) {
      const point = options.parent === null ? null : pointOf('', options.parent);
      const before = point?.site === site && point.facts['bucket'] === client.bucket ? point.facts : {};
      const { isAskedAnew, facts } = await planTags({ client, before, nowMs: takenAtMs, signal });
      tagFacts = facts;
      const entries = bucketEntries({ client, isAskedAnew, signal });
      return saveStream({ ...options, entries, paths: [`/${client.bucket}`] });
    },
    totalBytes: () => null,
    facts: ({ filesNew, filesChanged, filesUnmodified }) => ({
      takenAtMs,
      facts: { bucket: client.bucket, objects: filesNew + filesChanged + filesUnmodified, ...tagFacts },
    }),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
