import { MusterError, toMusterError } from '../../../workflows/engine/errors.ts';
import { manifestName, type BackupFacts, type StoredBackup } from './backup-entry.ts';
import { FileInspector } from './file-inspector.ts';
import { includedWalFaults } from './included-wal.ts';
import { faultError } from './manifest-check.ts';
import { readAll } from './wal-content.ts';

/**
 * Reads a stored base backup through and compares every file with its manifest, without writing anything. Then it is
 * intact; proven is only what was recovered.
 * @throws MusterError RESTORE_FAILED naming the damaged files; what reading throws
 */
export async function checkStored(
  backup: StoredBackup,
  options: { signal?: AbortSignal; onProgress?(progress: { bytes: number; totalBytes: number }): void } = {},
): Promise<{ bytes: number; files: number }> {
  const inspector = new FileInspector(backup.facts.checksums);
  let manifest: Buffer | null = null;
  for await (const entry of backup.entries()) {
    options.signal?.throwIfAborted();
    if (entry.tablespace === null && entry.path === manifestName) manifest = await readAll(entry.body);
    else if (entry.kind === 'file') {
      inspector.begin(entry);
      for await (const bytes of entry.body) inspector.update(bytes);
      inspector.end();
      options.onProgress?.({ bytes: inspector.bytes, totalBytes: backup.facts.bytes });
    }
  }
  compareStored(backup.facts, inspector, manifest);
  return { bytes: inspector.bytes, files: inspector.files };
}

/** The files of a backup as they were read, against what its manifest says. Throws RESTORE_FAILED naming the damaged ones. */
export function compareStored(facts: BackupFacts, inspector: FileInspector, manifest: Buffer | null): void {
  if (manifest === null) throw new MusterError('RESTORE_FAILED', `the base backup has no ${manifestName}`);
  const { facts: listed, faults } = compared(inspector, manifest);
  if (listed.systemId !== null && listed.systemId !== facts.systemId) {
    const whose = `its manifest is of system ${listed.systemId}`;
    throw new MusterError('RESTORE_FAILED', `the base backup is of system ${facts.systemId}, but ${whose}`);
  }
  if (facts.hasWal) faults.push(...includedWalFaults(inspector.segments, listed.walRanges, facts));
  if (faults.length > 0) throw faultError('RESTORE_FAILED', 'the base backup is damaged', faults);
}

/** Of a backup that is read back nothing will be different the next time. */
function compared(inspector: FileInspector, manifest: Buffer): ReturnType<FileInspector['check']['compare']> {
  try {
    return inspector.check.compare(manifest);
  } catch (cause) {
    throw new MusterError('RESTORE_FAILED', `the base backup is damaged: ${toMusterError(cause).message}`, { cause });
  }
}
