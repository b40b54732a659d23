import { type ListedVersion } from '../../objects/types.ts';
import { MusterError } from '../../../workflows/engine/errors.ts';
import { alignVersions } from '../compare/align-versions.ts';
import { fullKey, type Side } from '../side.ts';
import { prepare, serverCodeOf, withoutRefused } from './delivery.ts';
import { headSource } from './head-source.ts';
import { callOf } from './landing.ts';
import { type CopySetup, type CopyTask } from './ports.ts';
import { fromSource, fromTarget } from './side-errors.ts';

type Tags = Record<string, string>;

export function sameTexts(a: Readonly<Tags>, b: Readonly<Tags>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** What the target has; undefined where tags are not carried, or the target keeps none. */
export async function tagsThere(setup: CopySetup, key: string, versionId?: string): Promise<Tags | undefined> {
  if (!setup.rule.carry.tags || setup.refused.has('tags')) return undefined;
  try {
    return await setup.target.client.getTags(key, versionId === undefined ? {} : { versionId }, callOf(setup));
  } catch (err) {
    if (serverCodeOf(err) !== 'NotImplemented') throw err;
    setup.refused.add('tags');
    return undefined;
  }
}

/**
 * Brings the tags of one version to its copy at the target: all that can change about a version.
 * @throws OBJECT_UNKNOWN while the version has no copy yet: it comes with its tags
 */
export async function refreshVersionTags(
  setup: CopySetup,
  task: CopyTask,
): Promise<{ kind: 'same' | 'refreshed'; targetEtag: string }> {
  const { target } = setup;
  const key = fullKey(target, task.key);
  const info = await fromSource(headSource(setup, task));
  const versionId = task.targetVersion || (await copyOf(setup, task));
  if (versionId === undefined)
    throw new MusterError('OBJECT_UNKNOWN', `version ${task.versionId} of ${JSON.stringify(task.key)} has no copy yet`);
  const { etag: targetEtag } = await fromTarget(target.client.head(key, { versionId }, callOf(setup)));
  const delivery = await prepare(setup, task, info, true);
  const tags = delivery.carried.tags ?? {};
  const there = await tagsThere(setup, key, versionId);
  if (there === undefined || sameTexts(tags, there)) return { kind: 'same', targetEtag };
  await withoutRefused(setup, delivery, async () => {
    if (delivery.carried.tags !== undefined || Object.keys(tags).length === 0)
      await fromTarget(target.client.putTags(key, tags, { versionId }, callOf(setup)));
  });
  return { kind: 'refreshed', targetEtag };
}

/** Of a version that no ledger knows: both histories are lined up. */
async function copyOf(setup: CopySetup, { key, versionId }: CopyTask): Promise<string | undefined> {
  const [source, target] = await Promise.all([
    versionsOf(setup, setup.source, key),
    versionsOf(setup, setup.target, key),
  ]);
  const aligned = alignVersions(source, target);
  const at = source.findIndex((version) => version.versionId === versionId);
  if (aligned.kind === 'forked' || at < 0) return undefined;
  const missing = aligned.kind === 'behind' ? aligned.missing.length : 0;
  const behindNewest = source.length - 1 - at - missing;
  return behindNewest < 0 ? undefined : target.at(-1 - behindNewest)?.versionId;
}

/** Oldest first. */
async function versionsOf(setup: CopySetup, side: Side, key: string): Promise<ListedVersion[]> {
  const prefix = fullKey(side, key);
  const found: ListedVersion[] = [];
  let marker: Awaited<ReturnType<Side['client']['listVersions']>>['next'];
  do {
    const request = { prefix, ...(marker === undefined ? {} : { marker }) };
    const page = await side.client.listVersions(request, callOf(setup));
    const own = page.versions.filter((version) => version.key === prefix);
    found.push(...own);
    // Longer names with this beginning come behind it.
    marker = own.length < page.versions.length ? undefined : page.next;
  } while (marker !== undefined);
  return found.toReversed();
}
