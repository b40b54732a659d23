import { MusterError } from '../../../workflows/engine/errors.ts';

const plain = /^[A-Za-z0-9._~-]*$/;
const plainPath = /^[A-Za-z0-9._~/-]*$/;

function escapeMore(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
}

/**
 * Percent-encodes as both signatures want it: everything but RFC 3986's unreserved characters, capitals.
 * @throws MusterError OBJECT_STORE_REFUSED for half a surrogate pair, which no store can keep.
 */
export function encodeText(text: string): string {
  if (plain.test(text)) return text;
  try {
    return encodeURIComponent(text).replace(/[!'()*]/g, escapeMore);
  } catch (cause) {
    throw new MusterError('OBJECT_STORE_REFUSED', `${JSON.stringify(text)} is no valid Unicode`, { cause });
  }
}

/** The same for a key in a path: slashes stay. */
export function encodeKey(key: string): string {
  return plainPath.test(key) ? key : encodeText(key).replaceAll('%2F', '/');
}

export type Query = Readonly<Record<string, string | number | undefined>>;

/**
 * A query as it is sent and signed: sorted by encoded name, undefined left out. `bare`: a name without a value stands
 * alone, as OSS signs it; else an equals sign follows.
 */
export function queryText(query: Query | undefined, bare: boolean): string {
  if (query === undefined) return '';
  const pairs: [string, string][] = [];
  for (const name of Object.keys(query)) {
    const value = query[name];
    if (value !== undefined) pairs.push([encodeText(name), encodeText(String(value))]);
  }
  if (pairs.length > 1) pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return pairs.map(([name, value]) => (value === '' && bare ? name : `${name}=${value}`)).join('&');
}
