import { type Tags, type Version } from './model.ts';

/** What a version keeps beside its bytes; see `Version.extra`. */
type Extra = Version['extra'];

/** Its place among a version's extras: a flat list of name, value, name, value. A map could not hold every name. */
const feature = 'tags';
const noTags: Tags = [];

/** How many tags a version has. Every answer about an object asks for it: most have none, and nothing is made. */
export function tagCountOf({ extra }: { extra: Extra }): number {
  const kept = extra[feature];
  return Array.isArray(kept) ? kept.length / 2 : 0;
}

export function tagsOf({ extra }: { extra: Extra }): Tags {
  const kept = extra[feature];
  if (!Array.isArray(kept)) return noTags;
  const tags: [string, string][] = [];
  for (let i = 0; i + 1 < kept.length; i += 2) tags.push([String(kept[i]), String(kept[i + 1])]);
  return tags;
}

/** Extras with these tags in the place of those they had; without any the feature leaves no trace. */
export function extraWith(extra: Extra, tags: Tags): Extra {
  const { [feature]: _, ...others } = extra;
  return tags.length === 0 ? others : { ...others, [feature]: tags.flat() };
}

export function sameTags(a: Tags, b: Tags): boolean {
  return a.length === b.length && a.every(([name, value], i) => name === b[i]![0] && value === b[i]![1]);
}
