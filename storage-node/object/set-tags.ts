import { checkWriteConditions } from './conditions.ts';
import { type TagsInput, type Version } from './model.ts';
import { changeKey, type ObjectsDeps } from './objects.ts';
import { placeOf } from './placement.ts';
import { extraWith, sameTags, tagsOf } from './tags.ts';
import { findVersion, shownVersionId } from './versions.ts';

/**
 * Replaces the tags of a version; none removes them. Bytes, ETag and time stay as they are. It is a write like any
 * other: chosen by a quorum, fenced, judged by its conditions, told by the change log. The same tags once more change
 * nothing.
 * @throws StorageError NoSuchKey, NoSuchVersion; MethodNotAllowedOnDeleteMarker, also where one hides the key.
 */
export function setTags(deps: ObjectsDeps, input: TagsInput): Promise<{ versionId: string | undefined }> {
  return deps.withBucket(input.bucket, async (bucket) => {
    const place = placeOf(deps.sets, bucket, input.key);
    let versionId: string | undefined;
    await changeKey(deps, { bucket, place }, ({ versions }) => {
      const version = findVersion({ versions }, input.versionId ?? versions[0]?.versionId);
      checkWriteConditions(version, input.conditions ?? {});
      ({ versionId } = version);
      if (sameTags(tagsOf(version), input.tags)) return 'unchanged';
      const tagged: Version = { ...version, extra: extraWith(version.extra, input.tags) };
      return {
        state: { versions: versions.map((one) => (one === version ? tagged : one)) },
        event: { kind: version === versions[0] ? 'tags' : 'version-tags', version: tagged },
      };
    });
    return { versionId: shownVersionId(bucket, versionId!) };
  });
}
