import { type ListedVersion } from '../../objects/types.ts';

export type Alignment =
  | { kind: 'same' }
  /** These of the source, oldest first, have to follow what the target has. */
  | { kind: 'behind'; missing: ListedVersion[] }
  /** The target has versions that the source does not have behind what they share: they cannot both be kept. */
  | { kind: 'forked'; shared: number };

/** Whether two versions are one and the same write. */
export type SameVersion = (source: ListedVersion, target: ListedVersion) => boolean;

/** By size and ETag: good where no object is multipart or the parts were cut alike. */
export function sameByEtag(source: ListedVersion, target: ListedVersion): boolean {
  if (source.deleteMarker || target.deleteMarker) return source.deleteMarker === target.deleteMarker;
  return source.sizeBytes === target.sizeBytes && source.etag.toLowerCase() === target.etag.toLowerCase();
}

/**
 * Lines up the versions of one key, both oldest first. History can only be added to: the target has to end with what
 * the source goes on from. Either may have lost its oldest to a lifecycle rule. The longest overlap counts.
 */
export function alignVersions(
  source: readonly ListedVersion[],
  target: readonly ListedVersion[],
  same: SameVersion = sameByEtag,
): Alignment {
  if (source.length === 0) return target.length === 0 ? { kind: 'same' } : { kind: 'forked', shared: 0 };
  if (target.length === 0) return { kind: 'behind', missing: [...source] };
  let best: { overlap: number; upTo: number } | undefined;
  // The newest of the target stands somewhere in the source; before it, both must agree as far as both go.
  for (let upTo = source.length; upTo > 0; upTo--) {
    const overlap = overlapUpTo(source.slice(0, upTo), target, same);
    if (overlap > 0 && (best === undefined || overlap > best.overlap)) best = { overlap, upTo };
  }
  if (best === undefined) return { kind: 'forked', shared: 0 };
  const missing = source.slice(best.upTo);
  return missing.length === 0 ? { kind: 'same' } : { kind: 'behind', missing };
}

/** How many versions the two have in common when both end here; 0 when they contradict each other. */
function overlapUpTo(source: readonly ListedVersion[], target: readonly ListedVersion[], same: SameVersion): number {
  const length = Math.min(source.length, target.length);
  for (let i = 1; i <= length; i++) if (!same(source.at(-i)!, target.at(-i)!)) return 0;
  return length;
}
