import type { RestoreProof } from '../../../workflows/engine/protection.ts';
import type { RestoreSample } from '../../backup/postgres/restore-model.ts';

/**
 * What a forecast of restores learns from a proof; null of one that failed or did not measure all of it. What has no log
 * (buckets, directories) replays none. Pure.
 */
export function sampleOf({ verdict, endedAtMs, restoreSeconds, figures }: RestoreProof): RestoreSample | null {
  const { restoredBytes, layDownSeconds, walBytes, replaySeconds } = figures;
  if (verdict !== 'proven' || restoreSeconds === null) return null;
  if (restoredBytes === null || layDownSeconds === null) return null;
  if (walBytes === null && replaySeconds === null) {
    const openSeconds = Math.max(0, restoreSeconds - layDownSeconds);
    return {
      finishedAtMs: endedAtMs,
      bytes: restoredBytes,
      layDownSeconds,
      walBytes: 0,
      replaySeconds: 0,
      openSeconds,
    };
  }
  if (walBytes === null || replaySeconds === null) return null;
  const openSeconds = Math.max(0, restoreSeconds - layDownSeconds - replaySeconds);
  return { finishedAtMs: endedAtMs, bytes: restoredBytes, layDownSeconds, walBytes, replaySeconds, openSeconds };
}
