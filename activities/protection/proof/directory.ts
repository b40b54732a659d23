import path from 'node:path';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { restore } from '../../backup/engine/restore.ts';
import { compareFiles } from './compare-files.ts';
import { failed, named, passed, unknown } from './finding.ts';
import { secondsSince, type Proving, type Restored } from './trial.ts';

/**
 * Restores a snapshot of directories and compares what then lies on the disk with what was saved.
 * @throws MusterError RESTORE_FAILED naming what is missing
 */
export async function proveDirectory(proving: Proving): Promise<Restored> {
  const { stored, place, point, context, signal, findings, figures } = proving;
  const startedAt = performance.now();
  const { counts, problems } = await restore({
    ...{ repository: stored.repository, snapshot: stored.snapshot, target: place.filesDir, signal },
    onProgress: ({ files, bytes }) => context.heartbeat({ phase: 'laying-down', files, bytes }),
  });
  const restoreSeconds = secondsSince(startedAt);
  Object.assign(figures, { restoredBytes: counts.bytes, layDownSeconds: restoreSeconds });
  proving.restoredToMs = point.takenAtMs;
  const lost = problems.filter(({ path: at }) => at !== '').map(({ path: at, why }) => `${at}: ${why}`);
  if (lost.length > 0) throw new MusterError('RESTORE_FAILED', `${lost.length} cannot be restored: ${named(lost)}`);
  proving.restoreSeconds = restoreSeconds;
  const about = { check: 'restore', subject: point.resource };
  const said = `${counts.files} files, ${counts.directories} directories, ${counts.bytes} bytes`;
  findings.push(passed({ ...about, detail: said }));
  for (const { path: at, why } of problems)
    if (at === '') findings.push(unknown({ ...about, check: 'attributes', detail: why }));
  await compare(proving);
  const directory = directoryOf(place.filesDir, stored.snapshot.paths);
  return { url: `file://${directory}`, directory };
}

async function compare({ stored, place, order, context, signal, findings, figures }: Proving): Promise<void> {
  const startedAt = performance.now();
  const { samplePercent = 100 } = order.checks;
  const { files, read, bytes, faults } = await compareFiles(stored, {
    ...{ restored: place.filesDir, percent: samplePercent, seed: context.runId, signal },
    onProgress: (progress) => context.heartbeat({ phase: 'comparing', ...progress }),
  });
  figures.verifySeconds = secondsSince(startedAt);
  const about = { check: 'files', subject: order.resource.name };
  if (faults.count > 0) findings.push(failed({ ...about, detail: `${faults.count} differ: ${faults.toString()}` }));
  else if (files === 0) findings.push(unknown({ ...about, detail: 'there is no file: nothing was looked at' }));
  else findings.push(passed({ ...about, detail: `${read} of ${files} read again, ${bytes} bytes as they were saved` }));
}

/** What was saved, where that was one path; else what all of it lies in. */
function directoryOf(filesDir: string, paths: readonly string[]): string {
  const [only] = paths;
  return paths.length === 1 && only !== undefined ? path.join(filesDir, only) : filesDir;
}
