import { fullKey, type Side } from '../side.ts';

/** Whether an object has all of these tags. */
export async function isTagged(
  side: Side,
  key: string,
  wanted: Readonly<Record<string, string>>,
  call: { signal?: AbortSignal } = {},
): Promise<boolean> {
  const tags = await side.client.getTags(fullKey(side, key), {}, call);
  return Object.entries(wanted).every(([name, value]) => tags[name] === value);
}
