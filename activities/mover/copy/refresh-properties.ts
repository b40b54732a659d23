import { type ObjectInfo } from '../../objects/types.ts';
import { fullKey, type Side } from '../side.ts';
import { prepare, withoutRefused } from './delivery.ts';
import { headSource } from './head-source.ts';
import { callOf, headOrNone } from './landing.ts';
import { readMarks, withoutMarks } from './marks.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { fromSource, fromTarget } from './side-errors.ts';
import { refreshVersionTags, sameTexts, tagsThere } from './tags.ts';

export type Refreshed =
  | { kind: 'same' | 'refreshed'; targetEtag: string }
  /** It cannot be done in place: the whole object has to be copied. */
  | { kind: 'copy' };

/** Larger objects cannot be copied onto themselves in one request. Source: S3 and OSS, CopyObject. */
const largestInPlaceBytes = 1024 ** 3;

/**
 * Brings metadata, content headers and tags of an object whose bytes the target has. Only what a mover or this ledger
 * put there is written anew, under the condition that it is still that.
 */
export async function refreshProperties(setup: CopySetup, task: CopyTask): Promise<Refreshed> {
  if (task.versionId !== undefined) return refreshVersionTags(setup, task);
  const { target } = setup;
  const info = await fromSource(headSource(setup, task));
  const there = await headOrNone(setup, task.key);
  if (there === undefined || there.sizeBytes !== info.sizeBytes || info.sizeBytes > largestInPlaceBytes)
    return { kind: 'copy' };
  if (setup.rule.overwrite === 'known' && task.knownEtag !== there.etag) return { kind: 'copy' };
  const ours = readMarks(there.metadata) !== undefined || task.knownEtag === there.etag;
  if (!ours && setup.rule.overwrite === 'ours') return { kind: 'same', targetEtag: there.etag };
  const key = fullKey(target, task.key);
  const delivery = await prepare(setup, task, info, true);
  const { carried } = delivery;
  const tags = carried.tags ?? {};
  const others = await tagsThere(setup, key);
  const { etag: targetEtag } = there;
  const sameTags = others === undefined || sameTexts(tags, others);
  if (sameProperties(info, there) && sameTags) return { kind: 'same', targetEtag };
  if (sameProperties(info, there)) {
    await withoutRefused(setup, delivery, async () => {
      if (delivery.carried.tags === undefined && Object.keys(tags).length > 0) return;
      await fromTarget(target.client.putTags(key, tags, {}, callOf(setup)));
      setup.tagsPut?.(task.key, tags);
    });
    return { kind: 'refreshed', targetEtag };
  }
  const put = await withoutRefused(setup, delivery, () =>
    fromTarget(
      target.client.copy(
        { key, ifMatch: targetEtag },
        key,
        {
          replace: { content: carried.content, metadata: delivery.carried.metadata },
          // Without a word about them the copy would keep the tags that the source has no more.
          ...(sameTags ? {} : { tags: delivery.carried.tags ?? {} }),
        },
        callOf(setup),
      ),
    ),
  );
  return { kind: 'refreshed', targetEtag: put.etag };
}

/** Whether all that goes with the bytes is the same on both sides, tags included where they are carried. */
export async function haveSameProperties(setup: CopySetup, task: CopyTask): Promise<boolean> {
  const [info, there] = await Promise.all([fromSource(headSource(setup, task)), headOrNone(setup, task.key)]);
  if (there === undefined || !sameProperties(info, there)) return false;
  if (!setup.rule.carry.tags) return true;
  const tagsOf = ({ client, prefix }: Side): Promise<Record<string, string>> =>
    client.getTags(prefix + task.key, {}, callOf(setup)).catch((err: unknown) => {
      if ((err as { serverCode?: unknown }).serverCode === 'NotImplemented') return {};
      throw err;
    });
  const [tags, others] = await Promise.all([tagsOf(setup.source), tagsOf(setup.target)]);
  return sameTexts(tags, others);
}

/** Metadata but for marks, and content headers. */
export function sameProperties(source: ObjectInfo, target: ObjectInfo): boolean {
  return (
    sameTexts(withoutMarks(source.metadata), withoutMarks(target.metadata)) &&
    sameTexts({ ...source.content }, { ...target.content })
  );
}
